"""Amazon's managed service by its documented API: a server of ours that checks each signature; not the real one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import amazon
import pytest
from amazon import Keys, SignatureError, TokenService
from prometheus_server import Answer, Asked, Server, failure, matrix, serving, vector

from presagio.toolkit.errors import SourceError
from presagio.toolkit.link_config import LinkConfig, SigV4
from presagio.toolkit.prometheus import Prometheus, PrometheusConfig
from presagio.webhook.alertmanager import Alertmanager
from presagio.webhook.config import AlertmanagerConfig

WORKSPACE = "/workspaces/ws-b226cc2a-a446-46a9-933a-ac50479a5568"
ROLE = "arn:aws:iam::123456789012:role/presagio"
NOT_FOLLOWED = "where our credentials do not follow; ask that one"
OURS = {"AKIAOURS": Keys("wJalr/K7MDENG+bPxRfi")}


@dataclass
class Workspace:
    """A workspace: it answers whom it knows, below its path, by POST."""

    known: Mapping[str, Keys] = field(default_factory=lambda: OURS)
    answer: Callable[[Asked], Answer] = lambda asked: matrix() if "step" in asked.form else vector(({}, "1"))
    signers: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        try:
            self.signers.append(amazon.check(asked, self.known, "eu-west-1/aps"))
        except SignatureError as error:
            return Answer(f'{{"message":"{error}"}}'.encode(), 403)
        if asked.path.partition("?")[0] not in (
            f"{WORKSPACE}/api/v1/query", f"{WORKSPACE}/api/v1/query_range", f"{WORKSPACE}/alertmanager/api/v2/alerts",
        ):  # fmt: skip
            return Answer(b'{"message":"Unable to determine service/operation name to be authorized"}', 403)
        return self.answer(asked)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def workspace(server: Server) -> Workspace:
    made = Workspace()
    server.answer = made
    return made


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Keep what this machine may have of Amazon's out of sight; return what sets the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def client(server: Server, **sigv4: object) -> Prometheus:
    settings = {"url": server.url + WORKSPACE, "timeout": 5.0, "sigv4": {"region": "eu-west-1", **sigv4}}
    return Prometheus(PrometheusConfig.model_validate(settings))


def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOURS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OURS["AKIAOURS"].secret)


def refused(asking: Prometheus) -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        asking.instant("up", 1000.0)
    return caught.value.reason.name, str(caught.value)


def test_queries_are_signed_with_the_keys_of_the_environment(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch
) -> None:
    ours(machine)
    asking = client(server)
    query = 'sum by (a) (rate(x{b=~"ä.*|c d+e&f=g"}[5m])) # ~'
    assert asking.instant(query, 1000.0).values.tolist() == [1.0]
    assert asking.range("up", 1000.0, 1060.0, 15.0).values.shape == (0, 5)
    assert workspace.signers == ["AKIAOURS", "AKIAOURS"]
    assert server.asked[0].form["query"] == query


def test_what_is_signed_holds_for_gateways_too(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch
) -> None:
    """Other headers are not signed, so that a proxy on the way may change them; a tenant and a key go beside it."""
    ours(machine)
    settings = {"url": server.url + WORKSPACE, "tenant": "a", "headers": {"X-Key": {"value": "k"}}}
    asking = Prometheus(PrometheusConfig.model_validate({**settings, "sigv4": {"region": "eu-west-1"}}))
    asking.instant("up", 1000.0)
    headers = server.asked[0].headers
    assert (headers["X-Scope-OrgID"], headers["X-Key"]) == ("a", "k")
    assert "SignedHeaders=content-type;host;x-amz-date," in headers["Authorization"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "other"}, "the request signature we calculated does not match"),
        ({"AWS_ACCESS_KEY_ID": "AKIAOTHER"}, "the security token included in the request is invalid"),
    ],
)
def test_the_wrong_keys_are_refused(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch, wrong: Mapping[str, str], told: str
) -> None:
    ours(machine)
    for name, value in wrong.items():
        machine.setenv(name, value)
    reason, message = refused(client(server))
    assert reason == "REFUSED"
    assert message.startswith(f"prometheus answered 403: {told}")


@pytest.mark.parametrize("sigv4", [{"region": "us-east-1"}, {"service_name": "es"}])
def test_the_region_and_the_service_are_signed(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch, sigv4: Mapping[str, str]
) -> None:
    ours(machine)
    assert "should be scoped to eu-west-1/aps" in refused(client(server, **sigv4))[1]


def test_the_checker_sees_a_body_that_was_changed_on_the_way(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch
) -> None:
    """A test of the test."""
    ours(machine)
    client(server).instant("up", 1000.0)
    sent = server.asked[0]
    for changed in (
        Asked(sent.method, sent.path, sent.headers, sent.form, sent.body + b"&dedup=0"),
        Asked(sent.method, sent.path + "?a=b", sent.headers, sent.form, sent.body),
        Asked("GET", sent.path, sent.headers, sent.form, sent.body),
        Asked(sent.method, sent.path, {**sent.headers, "Host": "elsewhere"}, sent.form, sent.body),
    ):
        with pytest.raises(SignatureError, match="does not match"):
            amazon.check(changed, OURS, "eu-west-1/aps")


def test_a_profile_of_the_credentials_file(
    server: Server, workspace: Workspace, tmp_path: Path, machine: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(
        f"[watch]\naws_access_key_id = AKIAOURS\naws_secret_access_key = {OURS['AKIAOURS'].secret}\n"
    )
    client(server, profile="watch").instant("up", 1000.0)
    assert workspace.signers == ["AKIAOURS"]
    reason, message = refused(client(server, profile="other"))
    assert (reason, message) == (
        "REFUSED", "no credentials of Amazon are to be had: The config profile (other) could not be found",
    )  # fmt: skip


def test_without_credentials_nothing_is_asked_and_later_ones_are_found(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch
) -> None:
    asking = client(server)
    told = "no credentials of Amazon are to be found: environment, AWS files, web identity, container, instance have"
    assert refused(asking) == ("REFUSED", f"{told} none")
    assert server.asked == []
    ours(machine)
    assert asking.instant("up", 1000.0).values.tolist() == [1.0]


@pytest.fixture
def tokens(tmp_path: Path, machine: pytest.MonkeyPatch) -> Iterator[TokenService]:
    """Return a token service that this machine has a token for, as a pod has it that has a role."""
    service = TokenService(ROLE, "first")
    (tmp_path / "token").write_text("first")
    machine.setenv("AWS_ROLE_ARN", ROLE)
    machine.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    with serving() as running:
        running.answer = service
        machine.setenv("AWS_ENDPOINT_URL_STS", running.url)
        yield service


def test_a_pod_with_a_role_gets_its_keys_once(server: Server, workspace: Workspace, tokens: TokenService) -> None:
    workspace.known = tokens.given
    asking = client(server)
    for _ in range(3):
        asking.instant("up", 1000.0)
    assert workspace.signers == ["ASIA1"] * 3
    assert len(tokens.asked) == 1
    assert "x-amz-security-token" in server.asked[0].headers["Authorization"]


def test_keys_that_run_out_are_renewed_with_the_token_that_is_then_in_the_file(
    server: Server, workspace: Workspace, tokens: TokenService, tmp_path: Path
) -> None:
    workspace.known, tokens.seconds = tokens.given, 60
    asking = client(server)
    asking.instant("up", 1000.0)
    (tmp_path / "token").write_text("second")
    tokens.expected = "second"
    asking.instant("up", 1000.0)
    assert [form["WebIdentityToken"] for form in tokens.asked][:: len(tokens.asked) - 1] == ["first", "second"]
    assert workspace.signers[0] != workspace.signers[-1]


def test_a_role_that_is_not_given_is_a_refusal(server: Server, workspace: Workspace, tokens: TokenService) -> None:
    tokens.expected = "another"
    reason, message = refused(client(server))
    assert reason == "REFUSED"
    assert message.startswith("no credentials of Amazon are to be had: An error occurred (InvalidIdentityToken)")
    assert server.asked == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch, status: int
) -> None:
    ours(machine)
    with serving() as other:
        workspace.answer = lambda _: Answer(b"", status, {"Location": f"{other.url}/login"})
        reason, message = refused(client(server))
        assert (reason, other.asked) == ("BAD_ANSWER", [])
        assert message.endswith(f"sends queries on to {other.url}/login, {NOT_FOLLOWED}")


@pytest.mark.parametrize(
    ("answer", "reason", "told"),
    [
        (Answer(b'{"message":"Rate exceeded"}', 429), "RATE_LIMITED", "429: Rate exceeded"),
        (failure(422, "execution", "query timed out - consider simplifying your query"),
         "TIMEOUT", "422: query timed"),
        (failure(422, "execution", "the query time range exceeds the limit (query length: 800h, limit: 768h)"),
         "TOO_LARGE", "422: the query time range exceeds"),
        (failure(422, "execution", "the query hit the max number of chunks limit while fetching chunks"),
         "TOO_LARGE", "422: the query hit"),
    ],
)  # fmt: skip
def test_its_limits_have_their_reasons(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch, answer: Answer, reason: str, told: str
) -> None:
    ours(machine)
    workspace.answer = lambda _: answer
    found, message = refused(client(server))
    assert found == reason
    assert message.startswith(f"prometheus answered {told}")


def test_the_list_of_alerts_is_signed_with_its_parameters(
    server: Server, workspace: Workspace, machine: pytest.MonkeyPatch
) -> None:
    ours(machine)
    workspace.answer = lambda _: Answer(b"[]")
    settings = {"url": f"{server.url}{WORKSPACE}/alertmanager", "sigv4": {"region": "eu-west-1"}}
    assert Alertmanager(AlertmanagerConfig.model_validate(settings)).active() == frozenset()
    assert server.asked[0].path.endswith("?active=true&silenced=false&inhibited=false")


def test_without_the_library_the_file_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presagio.toolkit.link_config.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"the library botocore \(pip install presagio\[sigv4\]\)"):
        SigV4(region="eu-west-1")
    assert LinkConfig(url="http://a").sigv4 is None
