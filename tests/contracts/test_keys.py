"""Keys on either database: only digests are kept, each change is an act on record, and every process hears of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import select

from tokencapital.app.keyring import Keyring
from tokencapital.core.access import ApiKey, Scope, digest_of_secret, make_secret
from tokencapital.core.errors import InputError, StoreConflict, StoreUnavailable
from tokencapital.core.people import Role
from tokencapital.store.accounts import Account, add_account
from tokencapital.store.audit import Act, Done, acts_on, append_audit
from tokencapital.store.database import Store
from tokencapital.store.keys import add_key, entry_state, keys_made, read_entry, revoke_key, rotate_key
from tokencapital.store.schema import api_key

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


def key(name: str = "1", **changes: object) -> ApiKey:
    made = ApiKey(id=f"key_{name}", application="crm", scopes=frozenset({Scope.INFER, Scope.RECORD}), at=AT, by="maria")
    return msgspec.structs.replace(made, **changes)


class Ticks:
    """A watch that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_kept_as_a_digest_and_is_an_act_on_record(store: Store) -> None:
    secret = make_secret()
    add_key(store, key(), digest_of_secret(secret))
    assert keys_made(store) == [key()]
    assert keys_made(store, "another") == []
    with store.read() as connection:
        row = connection.execute(select(api_key)).one()
    assert secret not in str(row) and secret[5:20] not in str(row)
    [act] = acts_on(store, "key_1")
    assert act.what == Done.KEY_ADDED
    assert act.by == "maria"
    assert msgspec.json.decode(act.body) == {"scopes": ["infer", "record"]}


def test_a_rotated_key_goes_on_for_the_time_of_grace(store: Store) -> None:
    add_key(store, key(), "a")
    add_key(store, key("ends soon", expires_at=AT + timedelta(hours=2)), "b")
    later = AT + timedelta(hours=1)
    until = later + timedelta(hours=24)
    old = rotate_key(store, "key_1", key("2", at=later), "c", until)
    assert old.expires_at == until
    soon = rotate_key(store, "key_ends soon", key("3", at=later), "d", until)
    assert soon.expires_at == AT + timedelta(hours=2)
    [act] = acts_on(store, "key_2")
    assert act.what == Done.KEY_ROTATED
    assert msgspec.json.decode(act.body)["rotated"] == "key_1"


def test_a_key_that_opens_nothing_is_not_rotated(store: Store) -> None:
    add_key(store, key(), "a")
    revoke_key(store, "key_1", AT, "maria")
    add_key(store, key("2", expires_at=AT), "b")
    for old, why in (("key_1", "revoked"), ("key_2", "expired"), ("key_9", "no such key")):
        with pytest.raises(InputError, match=why):
            rotate_key(store, old, key("3"), "c", AT)
    assert [one.id for one in keys_made(store)] == ["key_1", "key_2"]


def test_revoking_twice_is_one_act(store: Store) -> None:
    add_key(store, key(), "a")
    assert revoke_key(store, "key_1", AT, "maria").revoked_at == AT
    assert revoke_key(store, "key_1", AT + timedelta(days=1), "ines").revoked_at == AT
    assert [act.what for act in acts_on(store, "key_1")] == [Done.KEY_ADDED, Done.KEY_REVOKED]


def test_two_keys_never_share_a_secret(store: Store) -> None:
    add_key(store, key(), "a")
    with pytest.raises(StoreConflict):
        add_key(store, key("2"), "a")


def test_the_state_changes_with_every_key_and_account(store: Store) -> None:
    states = [entry_state(store)]
    add_key(store, key(), "a")
    states.append(entry_state(store))
    revoke_key(store, "key_1", AT, "maria")
    states.append(entry_state(store))
    with store.begin() as connection:
        made = Account(login="m", contributor="c", roles=frozenset({Role.ADMIN}), active=True, at=AT, by="m")
        add_account(store, made, "secret")
        append_audit(store, connection, Act(what=Done.ACCOUNT_ADDED, subject="c", at=AT, by="m"))
    states.append(entry_state(store))
    assert len(set(states)) == len(states)
    entry = read_entry(store)
    assert entry.accounts and set(entry.keys) == {"a"}


def test_another_process_hears_of_a_revoked_key_within_a_second(
    store: Store, store_url: str, open_store: Callable[..., Store]
) -> None:
    secret, ticks = make_secret(), Ticks()
    elsewhere = Keyring(open_store(store_url), ticks)
    assert elsewhere.find(secret) is None
    add_key(store, key(), digest_of_secret(secret))
    ticks.now = 1.0
    assert elsewhere.find(secret) == key()
    revoke_key(store, "key_1", AT, "maria")
    ticks.now = 1.3
    assert elsewhere.find(secret) == key(), "what is younger than 0.4 s is believed"
    ticks.now = 2.3
    found = elsewhere.find(secret)
    assert found is not None and found.revoked_at == AT
    elsewhere.close()


class Gone:
    """A store that cannot be reached, or answers nothing, once it is told so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.gone = False
        self.asked = 0

    def probe(self, statement: str) -> object:
        """The answer of the store, where it can be reached."""
        self.asked += 1
        if self.gone:
            raise StoreUnavailable("the database server cannot be reached")
        return self._store.probe(statement)

    def read(self) -> object:
        """A view of the store."""
        return self._store.read()


def test_keys_go_on_while_the_store_is_gone_and_are_asked_for_only_now_and_then(store: Store) -> None:
    secret, ticks, gone = make_secret(), Ticks(), Gone(store)
    add_key(store, key(), digest_of_secret(secret))
    keyring = Keyring(gone, ticks)  # type: ignore[arg-type]
    assert keyring.find(secret) == key()
    gone.gone = True
    asked = gone.asked
    for tenth in range(1, 101):
        ticks.now = tenth / 10
        assert keyring.find(secret) == key()
        keyring.close()
    assert 15 <= gone.asked - asked <= 26
    assert keyring.age_s == pytest.approx(10)
    gone.gone = False
    revoke_key(store, "key_1", AT, "maria")
    ticks.now = 11
    keyring.find(secret)
    keyring.close()
    found = keyring.find(secret)
    assert found is not None and found.revoked_at == AT


def test_what_was_never_read_lets_nobody_in(store: Store) -> None:
    gone = Gone(store)
    gone.gone = True
    with pytest.raises(StoreUnavailable):
        Keyring(gone).entry()  # type: ignore[arg-type]
