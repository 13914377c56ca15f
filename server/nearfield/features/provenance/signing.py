"""The key that signs the chain: Ed25519, its private half in the system's keyring.

`cryptography` is imported here alone, and only when something is signed or checked. The keyring may
ask the user and so take any time: it is asked in a thread of its own, which nothing waits for
longer than it wants to.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass

from nearfield.errors import ConfigError
from nearfield.features.provenance.chain import Checking, Signing
from nearfield.routing import keys

log = logging.getLogger(__name__)

ENTRY = ".provenance"
"""The name of the entry in the keyring; no provider can have it."""

WITHOUT_CRYPTOGRAPHY = (
    'Signatures need packages that are not installed: `pip install "nearfield[provenance]"`.'
)
WITHOUT_KEYRING = "The system keyring cannot be used, or holds no key for signatures."


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key. `why` says why there is none, and the rest is None then."""

    signing: Signing | None = None
    checking: Checking | None = None
    public: str = ""
    why: str = ""


class SigningKey:
    """The key of this user, asked for once in a process, and made if there is none."""

    def __init__(self) -> None:
        self._found = KeyPair(why=WITHOUT_KEYRING)
        self._thread: threading.Thread | None = None

    def get(self, seconds: float) -> KeyPair:
        """Return the key, or none if the keyring does not answer within `seconds`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="keyring", daemon=True)
            self._thread.start()
        self._thread.join(seconds)
        return self._found

    def _look(self) -> None:
        try:
            self._found = key_pair(is_made=True)
        except Exception as error:  # noqa: BLE001 - keyrings are plug-ins, and raise anything
            log.info("the system keyring cannot be used (%s)", type(error).__name__)


def key_pair(*, is_made: bool = False) -> KeyPair:
    """Return the key that the keyring holds; a new one if it holds none and one `is_made`."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return KeyPair(why=WITHOUT_CRYPTOGRAPHY)
    held = keys.lookup(ENTRY)
    if held is None and is_made:
        try:
            keys.keep_own(ENTRY, Ed25519PrivateKey.generate().private_bytes_raw().hex())
        except ConfigError:
            return KeyPair(why=WITHOUT_KEYRING)
        held = keys.lookup(ENTRY)  # as another process may have been quicker
    try:
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(held or ""))
    except ValueError:
        return KeyPair(why=WITHOUT_KEYRING)
    public = private.public_key().public_bytes_raw()
    name = key_name(public)
    signing = Signing(name, lambda text: private.sign(text).hex())
    return KeyPair(signing, _checking(public), public.hex())


def _checking(public: bytes) -> Checking:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(public)

    def is_signed(text: bytes, signature: str) -> bool:
        try:
            raw = bytes.fromhex(signature)
            key.verify(raw, text)
        except (ValueError, InvalidSignature):
            return False
        # Python also reads capitals and blanks as hexadecimal.
        return raw.hex() == signature

    return Checking(key_name(public), is_signed)


def key_name(public: bytes) -> str:
    """Return the short name of a public key: the beginning of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]
