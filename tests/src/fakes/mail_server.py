"""A mail server of others' making (aiosmtpd) for the end-to-end tests.

Owns STARTTLS, without which it takes nothing, AUTH, and what it writes down of each mail, read by Python's own parser:
one line of JSON per mail. Knows nothing of Watchkeeper.
"""

import json
import ssl
import sys
import threading
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

port, certificate, key, user, password, record = sys.argv[1:7]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        parts = [part for part in mail.walk() if not part.is_multipart()]
        row = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "authenticated": session.authenticated,
            "hello": session.host_name,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "defects": [str(defect) for part in mail.walk() for defect in part.defects],
            "parts": [{"type": p.get_content_type(), "text": p.get_content()} for p in parts],
        }
        with open(record, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    right = data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=right)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
controller = Controller(
    Handler(),
    hostname="127.0.0.1",
    port=int(port),
    tls_context=context,
    require_starttls=True,
    auth_required=True,
    authenticator=authenticate,
)
controller.start()
threading.Event().wait()
