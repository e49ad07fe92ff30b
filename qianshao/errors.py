"""One error tree. A message says what happened, where, and what to do.

::

    QianshaoError            exit_code 1, retryable False
    ├── UsageError           exit_code 2: the person typed or configured something we cannot do
    │   ├── ConfigError      a key, value or file of the configuration
    │   ├── InputError       an input file that is missing, unreadable or of the wrong kind
    │   └── OutputError      an output folder that is not new, not empty or not writable
    ├── UnreadableInputError almost every record is invalid: the circuit breaker opened
    ├── StoreError           a store cannot be opened, migrated, written or read
    │   ├── UnavailableError something outside does not answer now; retryable True
    │   ├── AccessError      a service refuses our token or password, or what it may do
    │   └── QueryError       somebody's query is wrong, or asks for more than it may
    └── ModelError           a model folder is missing, corrupt or foreign
"""

from __future__ import annotations

from typing import ClassVar


class QianshaoError(Exception):
    """Base of every error that we raise on purpose."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class UsageError(QianshaoError):
    """The command line, the configuration or a path is wrong; nothing was started."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file, key or value is wrong; the message names the file, the key and what was expected."""


class InputError(UsageError):
    """An input file is missing, unreadable or of the wrong kind."""


class OutputError(UsageError):
    """An output folder is not new, not empty, or cannot be written."""


class UnreadableInputError(QianshaoError):
    """Almost every record of a source is invalid: going on would only fill the dead letters."""


class StoreError(QianshaoError):
    """A store cannot be opened, migrated, written or read."""


class UnavailableError(StoreError):
    """Something outside does not answer now: refused, timed out or overloaded. The same call may succeed later."""

    retryable = True


class AccessError(StoreError):
    """A service refuses our token or password, or does not let it do this; the message names what is missing."""


class QueryError(StoreError):
    """Somebody's query is wrong, asks for more than it may, or takes too long.

    Parameters
    ----------
    message
        What ClickHouse would say.
    code
        ClickHouse's number of the error; 0 if there is none.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ModelError(QianshaoError):
    """A model folder is missing, corrupt or of a foreign format."""
