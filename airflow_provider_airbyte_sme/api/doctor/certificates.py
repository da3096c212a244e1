"""What the doctor says about a TLS certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509

# Hosts to name.
_MAX_HOSTS = 5


def issuer_of(certificate: Mapping[str, Any]) -> str:
    """
    Return the name of the authority that issued a certificate.

    :param certificate: As :meth:`ssl.SSLSocket.getpeercert` returns it.
    """
    names = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    return _name_of(names, ("commonName", "organizationName", "organizationalUnitName"))


def _name_of(names: Mapping[str, Any], kinds: Sequence[str]) -> str:
    return repr(next((str(names[kind]) for kind in kinds if kind in names), "somebody unnamed"))


def described(encoded: bytes) -> str:
    """
    Return what stands in a certificate, as a sentence.

    The standard library parses a certificate only if it trusts it.

    :param encoded: The certificate in DER.
    :raises ImportError: The package cryptography is missing; Airflow depends on it.
    :raises ValueError: It is not a certificate.
    """
    # Late: only a failure needs it.
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(encoded)
    issued_by = "itself"
    if certificate.issuer != certificate.subject:
        issuer = {each.rfc4514_attribute_name: each.value for each in certificate.issuer}
        issued_by = _name_of(issuer, ("CN", "O", "OU"))
    return (
        f"The certificate is for {_hosts_of(certificate)}, was issued by {issued_by}, and is valid "
        f"from {certificate.not_valid_before_utc:%Y-%m-%d} to "
        f"{certificate.not_valid_after_utc:%Y-%m-%d}."
    )


def _hosts_of(certificate: x509.Certificate) -> str:
    from cryptography import x509

    hosts: list[str] = []
    with suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts += names.get_values_for_type(x509.DNSName)
        hosts += map(str, names.get_values_for_type(x509.IPAddress))
    more = f" and {len(hosts) - _MAX_HOSTS} more" if len(hosts) > _MAX_HOSTS else ""
    return f"{', '.join(map(repr, hosts[:_MAX_HOSTS]))}{more}" if hosts else "no host"
