"""What Amazon's side does with a signed request, written from the description of Signature Version 4 alone.

Nothing of botocore is used, so that a mistake of the signer cannot hide in its own library. And a token service (STS)
that hands out credentials for a web identity token, as it does for a pod with a role (IRSA).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

from prometheus_server import Answer, Asked

SKEW = timedelta(minutes=5)
_XML = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass(frozen=True)
class Keys:
    """One set of credentials that are valid."""

    secret: str
    token: str = ""


class SignatureError(Exception):
    """Why a request is refused."""


def check(asked: Asked, known: Mapping[str, Keys], scope: str) -> str:
    """Return the access key that signed; `scope` is region/service. Raises SignatureError."""
    headers = {name.lower(): value for name, value in asked.headers.items()}
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        raise SignatureError("missing authentication token")
    told = dict(part.strip().split("=", 1) for part in rest.split(","))
    access, _, given = told["Credential"].partition("/")
    moment = headers["x-amz-date"]
    age = abs(datetime.now(UTC) - datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    keys = known.get(access)
    if keys is None or headers.get("x-amz-security-token", "") != keys.token:
        raise SignatureError("the security token included in the request is invalid")
    if given != f"{moment[:8]}/{scope}/aws4_request" or age > SKEW:
        raise SignatureError(f"credential should be scoped to {scope} and of now")
    signed = told["SignedHeaders"].split(";")
    if missing := {"host", "x-amz-date", *(["x-amz-security-token"] if keys.token else [])} - {*signed}:
        raise SignatureError(f"{missing} must be signed")
    expected = _signature(keys.secret, given, moment, _canonical(asked, headers, signed))
    if not hmac.compare_digest(expected, told["Signature"]):
        raise SignatureError("the request signature we calculated does not match the signature you provided")
    return access


def _canonical(asked: Asked, headers: Mapping[str, str], signed: list[str]) -> str:
    parts = urlsplit(asked.path)
    query = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in _query(parts.query))
    lines = [
        asked.method,
        # each part is encoded once more than it is sent
        quote(parts.path, safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in query),
        *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
        "",
        ";".join(signed),
        hashlib.sha256(asked.body).hexdigest(),
    ]
    return "\n".join(lines)


def _query(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _signature(secret: str, scope: str, moment: str, canonical: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return hmac.new(key, text.encode(), "sha256").hexdigest()


@dataclass
class TokenService:
    """STS: for the token that it expects it gives new credentials, valid for `seconds`."""

    role: str
    expected: str
    seconds: int = 3600
    given: dict[str, Keys] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        """Answer AssumeRoleWithWebIdentity, which comes without a signature."""
        self.asked.append(asked.form)
        if "Authorization" in asked.headers or asked.form.get("Action") != "AssumeRoleWithWebIdentity":
            return _xml("<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>", 400)
        if (asked.form["RoleArn"], asked.form["WebIdentityToken"]) != (self.role, self.expected):
            code = "<Code>InvalidIdentityToken</Code><Message>no token of ours</Message>"
            return _xml(f"<ErrorResponse><Error>{code}</Error></ErrorResponse>", 400)
        number = len(self.given) + 1
        keys = Keys(f"secret/{number}", f"token+{number}=")
        self.given[f"ASIA{number}"] = keys
        until = (datetime.now(UTC) + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _xml(
            f'<AssumeRoleWithWebIdentityResponse xmlns="{_XML}"><AssumeRoleWithWebIdentityResult><Credentials>'
            f"<AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>{keys.secret}</SecretAccessKey>"
            f"<SessionToken>{keys.token}</SessionToken><Expiration>{until}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{self.role}</Arn><AssumedRoleId>x:y</AssumedRoleId></AssumedRoleUser>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )


def _xml(text: str, status: int = 200) -> Answer:
    return Answer(text.encode(), status, {"Content-Type": "text/xml"})
