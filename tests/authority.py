"""A certificate authority of a test's own, and what it issues as files in a folder."""

from pathlib import Path

import trustme


class Authority:
    """Writes `ca.pem`, and for a server `server.pem` and `server.key`."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.names = names or ("127.0.0.1",)
        self.own = trustme.CA()
        self.own.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.issue()

    @property
    def bundle(self) -> str:
        return str(self.folder / "ca.pem")

    def issue(self) -> None:
        """Write another certificate and key of the server."""
        made = self.own.issue_cert(*self.names)
        made.private_key_pem.write_to_path(str(self.folder / "server.key"))
        made.cert_chain_pems[0].write_to_path(str(self.folder / "server.pem"))

    def client(self) -> tuple[str, str]:
        """Write a certificate and a key of a client; return the files."""
        made = self.own.issue_cert("prometheus@example.org")
        files = str(self.folder / "client.pem"), str(self.folder / "client.key")
        made.cert_chain_pems[0].write_to_path(files[0])
        made.private_key_pem.write_to_path(files[1])
        return files
