import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale_commands import REFUSED, UNDERSTOOD

from presagio.webhook import commandline, kubectl
from presagio.webhook.kubectl import Scaling

DOCUMENTED = (
    "kubectl scale deployment ${service_id} "
    "--replicas=$(kubectl get deployment ${service_id} -o=jsonpath='{.spec.replicas}'+1)"
)


def test_the_documented_command_is_understood() -> None:
    assert commandline.action(DOCUMENTED) == {"kubernetes.scale_by": {"by": 1, "deployment": "${service_id}"}}


@pytest.mark.parametrize(("command", "scaling"), UNDERSTOOD)
def test_variants(command: str, scaling: Scaling) -> None:
    assert kubectl.scaling(command) == scaling


@pytest.mark.parametrize("command", REFUSED)
def test_anything_else_of_a_shell_is_refused(command: str) -> None:
    assert kubectl.scaling(command) is None
    with pytest.raises(ValueError, match=r"a command without \$\(…\) other than that of kubectl scale --replicas"):
        commandline.action(command)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("restart ${service_id}", ["restart", "${service_id}"]),
        ("kubectl scale deployment a --replicas=5", ["kubectl", "scale", "deployment", "a", "--replicas=5"]),
        ("""say 'a|b' "c;d" e\\ f "g\\"h" 'i"j'""", ["say", "a|b", "c;d", "e f", 'g"h', 'i"j']),
        ("awk '{print $1}' file", ["awk", "{print $1}", "file"]),
        ("curl -XPOST 'http://x/?a=1&b=2'", ["curl", "-XPOST", "http://x/?a=1&b=2"]),
        ("find . -name '*.tmp'", ["find", ".", "-name", "*.tmp"]),
        ("say '' \"${pod}\" '${pod}' a#b a~b {}", ["say", "", "${pod}", "${pod}", "a#b", "a~b", "{}"]),
        ("\tsay  \t x ", ["say", "x"]),
    ],
)
def test_a_line_is_split_once(command: str, argv: list[str]) -> None:
    assert commandline.split(command) == argv
    assert commandline.action(command) == {"command": {"argv": argv}}


SCRIPT = "write a script and name it here"
SEVERAL = f"one command; for several {SCRIPT}"
REDIRECTED = f"a command without redirection; its output goes to the ledger, or {SCRIPT}"
QUOTES = f"single quotes around what is meant as is, or {SCRIPT}"
VARIABLE = "a command without shell variables; ${label} stands for a label of the alert"
SUBSTITUTION = f"a command without $(…) other than that of kubectl scale --replicas; {SCRIPT}"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("a | b", f"{SEVERAL}, got '|'"),
        ("a || b", f"{SEVERAL}, got '||'"),
        ("a && b", f"{SEVERAL}, got '&&'"),
        ("a; b", f"{SEVERAL}, got ';'"),
        ("a &", f"{SEVERAL}, got '&'"),
        ("a\nb", f"{SEVERAL}, got '\\n'"),
        ("a > b", f"{REDIRECTED}, got '>'"),
        ("a 2>> b", f"{REDIRECTED}, got '>>'"),
        ("a < b", f"{REDIRECTED}, got '<'"),
        ("(a)", f"a command without a sub-shell; {SCRIPT}, got '('"),
        ("a $(b)", f"{SUBSTITUTION}, got '$('"),
        ('a "$(b)"', f"{SUBSTITUTION}, got '$('"),
        ("a '$(b)'", f"{SUBSTITUTION}, got '$('"),
        ("a `b`", f"a command without backticks; {SCRIPT}, got '`'"),
        ("a '`b`'", f"a command without backticks; {SCRIPT}, got '`'"),
        ("a $HOME", f"{VARIABLE}, got '$'"),
        ('a "$1"', f"{VARIABLE}, got '$'"),
        ("a ${x:-y}", f"{VARIABLE}, got '$'"),
        ("rm /tmp/*", f"{QUOTES}, got '*'"),
        ("rm a?", f"{QUOTES}, got '?'"),
        ("rm [ab]", f"{QUOTES}, got '['"),
        ("rm {a,b}", f"{QUOTES}, got '{{a,b}}'"),
        ("rm {1..3}", f"{QUOTES}, got '{{1..3}}'"),
        ("rm ~/x", f"{QUOTES}, got '~'"),
        ("a # b", "a command without a comment, got '#'"),
        ("a 'b", 'a command whose quotes are closed (No closing quotation), got "a \'b"'),
        ('a "b', "a command whose quotes are closed (No closing quotation), got 'a \"b'"),
        ("a \\", "a command whose quotes are closed (No escaped character), got 'a \\\\'"),
        ("A=b c", "a command that begins with its program, got 'A=b c'"),
        ("  ", "a command that begins with its program, got '  '"),
        ("", "a command that begins with its program, got ''"),
    ],
)
def test_what_needs_a_shell_is_refused_with_the_remedy(command: str, message: str) -> None:
    with pytest.raises(ValueError, match="got ") as error:
        commandline.action(command)
    assert str(error.value) == message


@given(st.text(alphabet="ab '\"\\$(){}`|;&<>*?[]~#=\n", max_size=20))
def test_what_is_split_means_the_same_to_a_shell(command: str) -> None:
    """Whatever passes has no character outside of quotes that a shell would act upon."""
    try:
        argv = commandline.split(command)
    except ValueError:
        return
    assert argv
    outside = "".join(piece for piece in commandline.pieces(command) if len(piece) == 1)
    assert not set(outside) & set("|;&<>()*?[`\n")
