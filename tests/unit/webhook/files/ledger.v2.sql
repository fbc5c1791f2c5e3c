BEGIN TRANSACTION;
CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	time DOUBLE NOT NULL, 
	remediation_id INTEGER, 
	source VARCHAR(32) NOT NULL, 
	target VARCHAR(32) NOT NULL, 
	reason VARCHAR(32) NOT NULL, 
	who VARCHAR(200) NOT NULL, 
	facts TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hmac VARCHAR(64) NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "audit" VALUES(1,1780000001.0,1,'','received','notified','orchestrator','{"annotations":{},"ends_at":null,"fingerprint":"f","generator_url":"","labels":{"alertname":"Leak","service_id":"shop/cart"},"starts_at":1779999940.0,"status":"firing"}','0000000000000000000000000000000000000000000000000000000000000000','069fae137f9ac408bbdf5d2b065f807ee8d45b2db1085e0822a139a199c4b258');
INSERT INTO "audit" VALUES(2,1780000002.0,1,'received','evaluating','matched','orchestrator','{"service_id":"shop/cart"}','069fae137f9ac408bbdf5d2b065f807ee8d45b2db1085e0822a139a199c4b258','2f89f8a2574738c80124142ed09fe3820948d4e58481372907763fd9f5bd4f28');
CREATE TABLE inbox (
	id INTEGER NOT NULL, 
	received_at DOUBLE NOT NULL, 
	sender VARCHAR(200) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	payload TEXT NOT NULL, 
	alerts INTEGER NOT NULL, 
	opened_at DOUBLE, 
	PRIMARY KEY (id)
);
INSERT INTO "inbox" VALUES(1,1780000000.0,'alertmanager','ac117afc8fa433b11714a3cba90644fc67dbc61bda9f82788498a952a69776f1','{"version": "4", "status": "firing", "alerts": [{"fingerprint": "f", "status": "firing", "labels": {"alertname": "Leak", "service_id": "shop/cart"}, "startsAt": "2026-05-28T20:25:40Z"}]}',1,1780000001.0);
CREATE TABLE leases (
	target VARCHAR(400) NOT NULL, 
	remediation_id INTEGER NOT NULL, 
	taken_at DOUBLE NOT NULL, 
	PRIMARY KEY (target), 
	UNIQUE (remediation_id), 
	FOREIGN KEY(remediation_id) REFERENCES remediations (id)
);
CREATE TABLE ledger_head (
	id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	hmac VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ledger_head" VALUES(1,2,'2f89f8a2574738c80124142ed09fe3820948d4e58481372907763fd9f5bd4f28');
CREATE TABLE membership (
	id INTEGER NOT NULL, 
	remediation_id INTEGER NOT NULL, 
	alert_id INTEGER NOT NULL, 
	fingerprint VARCHAR(200) NOT NULL, 
	starts_at DOUBLE NOT NULL, 
	joined_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (remediation_id, fingerprint, starts_at), 
	FOREIGN KEY(remediation_id) REFERENCES remediations (id), 
	FOREIGN KEY(alert_id) REFERENCES remediations (id)
);
INSERT INTO "membership" VALUES(1,1,1,'f',1779999940.0,1780000002.0);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	created_at DOUBLE NOT NULL, 
	remediation_id INTEGER NOT NULL, 
	subject VARCHAR(32) NOT NULL, 
	body JSON NOT NULL, 
	sent_at DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(remediation_id) REFERENCES remediations (id)
);
CREATE TABLE presagio_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "presagio_schema" VALUES(2);
CREATE TABLE remediations (
	id INTEGER NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	reason VARCHAR(32) NOT NULL, 
	revision INTEGER NOT NULL, 
	created_at DOUBLE NOT NULL, 
	entered_at DOUBLE NOT NULL, 
	not_before DOUBLE NOT NULL, 
	deadline DOUBLE NOT NULL, 
	finished_at DOUBLE, 
	outcome VARCHAR(32), 
	notification_id INTEGER, 
	fingerprint VARCHAR(200) NOT NULL, 
	starts_at DOUBLE NOT NULL, 
	alert JSON NOT NULL, 
	policy VARCHAR(200), 
	policy_revision VARCHAR(64), 
	mode VARCHAR(20), 
	service_id VARCHAR(400), 
	labels JSON, 
	owns VARCHAR(400), 
	rung INTEGER NOT NULL, 
	action VARCHAR(200), 
	"plan" JSON, 
	plan_hash VARCHAR(64), 
	verification JSON, 
	baseline JSON, 
	request JSON, 
	attempt_id VARCHAR(64), 
	attempts INTEGER NOT NULL, 
	acted_at DOUBLE, 
	evidence JSON, 
	samples JSON, 
	PRIMARY KEY (id), 
	FOREIGN KEY(notification_id) REFERENCES inbox (id), 
	UNIQUE (owns), 
	UNIQUE (attempt_id)
);
INSERT INTO "remediations" VALUES(1,'evaluating','matched',2,1780000001.0,1780000002.0,1780000002.0,1780003600.0,NULL,NULL,1,'f',1779999940.0,'{"annotations":{},"ends_at":null,"fingerprint":"f","generator_url":"","labels":{"alertname":"Leak","service_id":"shop/cart"},"starts_at":1779999940.0,"status":"firing"}','restart','ab','auto','shop/cart','{"alertname":"Leak","service_id":"shop/cart"}','shop/cart',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'[]');
CREATE TABLE spending (
	id INTEGER NOT NULL, 
	remediation_id INTEGER NOT NULL, 
	policy VARCHAR(200) NOT NULL, 
	spent_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(remediation_id) REFERENCES remediations (id)
);
CREATE TABLE switches (
	name VARCHAR(32) NOT NULL, 
	"on" BOOLEAN NOT NULL, 
	since DOUBLE NOT NULL, 
	who VARCHAR(200) NOT NULL, 
	note VARCHAR(1000) NOT NULL, 
	PRIMARY KEY (name)
);
CREATE UNIQUE INDEX inbox_waiting ON inbox (digest) WHERE opened_at IS NULL;
CREATE INDEX ix_audit_remediation_id ON audit (remediation_id);
CREATE INDEX ix_remediations_service_id ON remediations (service_id);
CREATE INDEX remediations_live ON remediations (not_before) WHERE finished_at IS NULL;
CREATE INDEX ix_remediations_fingerprint ON remediations (fingerprint);
CREATE INDEX ix_membership_fingerprint ON membership (fingerprint);
CREATE INDEX ix_spending_spent_at ON spending (spent_at);
COMMIT;
