"""Texts are tokens at rest and on the way to the peer."""

from cryptography.fernet import Fernet
from django.conf import settings

_fernet = Fernet(settings.FERNET_KEY)


def seal(text):
    return _fernet.encrypt(text.encode()).decode()


def open_token(token):
    return _fernet.decrypt(token).decode()
