"""The files of a spool: private, bounded, whole."""

import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sendline.contract import ids
from sendline.contract.draft import Rules, draft
from sendline.contract.errors import ConfigurationError, IdempotencyConflict
from sendline.spool import Entry, SpoolDirectory
from sendline.spool.entry import LARGEST, Damaged
from sendline.spool.files import LEFT_BEHIND, NoRoom


def entry(text="Hello", key=None, at=None):
    fields = {"to": "+13115552367", "text": text, "idempotency_key": key}
    made = draft(ids.new_id(), fields, Rules(), datetime.now(UTC))
    return Entry(made, round((time.time() if at is None else at) * 1000))


def names(spool, *kinds):
    return sorted(each.name for each in spool.path.iterdir() if each.suffix.removeprefix(".") in kinds)


def test_what_was_kept_waits_in_order_and_is_read(spool):
    kept = [entry(f"Hello {number}") for number in range(5)]
    assert spool.keep(kept[::-1]) == kept[::-1]
    assert spool.waiting() == [each.draft.id for each in kept]
    assert [spool.read(each) for each in spool.waiting()] == kept
    spool.remove(kept[0])
    assert spool.find(kept[0].draft.id) is None
    assert not spool.is_empty()


@pytest.fixture
def synced(monkeypatch):
    """Count what is brought onto the disk."""
    found = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (found.append(descriptor), real(descriptor)))
    return found


def test_messages_that_are_kept_at_once_go_onto_the_disk_at_once(spool, synced):
    many = [entry(f"Hello {number}", key=f"k{number}" if number % 2 else None) for number in range(256)]
    assert spool.keep(many) == many
    assert len(synced) == 2, "the file, and its names"
    assert spool.waiting() == [each.draft.id for each in many]
    assert [spool.find(each.draft.id) for each in many] == many
    assert [spool.with_key(f"k{number}") for number in range(1, 256, 2)] == many[1::2]
    assert [spool.keep([entry("Hello 7", key="k7")])] == [[many[7]]]
    assert names(spool, "new") == []


def test_messages_that_no_file_can_hold_together_are_kept_in_several(spool, synced):
    many = [entry("x" * 1600) for _ in range(9)]
    many = [replace(each, draft=replace(each.draft, text="x" * (LARGEST // 4))) for each in many]
    assert spool.keep(many) == many
    assert len(synced) == 4, "three files, and their names"
    assert [spool.find(each.draft.id) for each in many] == many


def test_of_messages_with_one_key_that_come_at_once_the_first_is_kept(spool):
    first, again, other = entry(key="k"), entry(key="k"), entry("Other", key="k")
    kept, same, refused = spool.keep([first, again, other])
    assert (kept, same) == (first, first)
    assert isinstance(refused, IdempotencyConflict)
    assert spool.waiting() == [first.draft.id]


def test_notes_that_look_like_another_message_mislead_nobody(spool):
    other = entry("other", key="k")
    notes = {"id": other.draft.id.hex(), "idempotency_key": "k"}
    tricky = entry('"id": "x"')
    tricky = replace(tricky, draft=replace(tricky.draft, metadata=notes))
    spool.keep([tricky, other])
    assert spool.find(other.draft.id) == other
    assert spool.with_key("k") == other
    assert spool.find(tricky.draft.id) == tricky


def test_a_message_of_several_can_go_alone_and_the_file_goes_with_the_last(spool):
    many = [entry(key=f"k{number}") for number in range(3)]
    spool.keep(many)
    spool.remove(many[1])
    assert [spool.find(each.draft.id) for each in many] == [many[0], None, many[2]]
    assert spool.with_key("k1") is None
    for each in (many[0], many[2]):
        spool.remove(each)
    assert list(spool.path.iterdir()) == []


def test_a_message_that_is_set_apart_keeps_its_names_and_leaves_the_others(spool):
    many = [entry(f"Hello {number}", key=f"k{number}") for number in range(3)]
    spool.keep(many)
    spool.set_apart(many[1])
    assert b"Hello 0" not in spool._name(many[1].draft.id).read_bytes()
    assert [spool.with_key(f"k{number}") for number in range(3)] == many
    spool.remove(many[1])
    assert spool.with_key("k1") is None
    assert len(list(spool.path.iterdir())) == 4


def test_the_directory_and_its_files_are_our_users_alone(path):
    before = os.umask(0)
    try:
        spool = SpoolDirectory(path, 10)
        spool.keep([entry(key="k")])
        with spool.delivering() as is_ours:
            assert is_ours
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in path.iterdir()} == {0o600}
    assert len(list(path.iterdir())) == 3


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_directory_to_which_others_may_write_is_refused(path, mode):
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"^spool_dir: others may write to .*; run chmod 700"):
        SpoolDirectory(path, 10)


def test_a_directory_of_another_user_is_refused(path, monkeypatch):
    path.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match=r"^spool_dir: .*another user"):
        SpoolDirectory(path, 10)


def test_a_file_in_its_place_or_a_place_that_cannot_be_is_refused(path):
    path.write_text("")
    with pytest.raises(ConfigurationError, match=r"^spool_dir: "):
        SpoolDirectory(path, 10)
    with pytest.raises(ConfigurationError, match=r"^spool_dir: "):
        SpoolDirectory(path / "below", 10)


def test_no_more_is_kept_than_fits(path):
    spool = SpoolDirectory(path, 3)
    kept = spool.keep([entry(str(number)) for number in range(5)])
    assert [type(each) for each in kept] == [Entry] * 3 + [NoRoom] * 2
    assert len(spool.waiting()) == 3
    [full] = SpoolDirectory(path, 3).keep([entry()])
    assert "spool_most" in str(full)


def test_a_message_that_is_too_large_refuses_no_other(spool):
    fits, large = entry(), entry()
    large = replace(large, draft=replace(large.draft, text="x" * LARGEST))
    refused, kept = spool.keep([large, fits])
    assert isinstance(refused, OSError)
    assert "256 KiB" in str(refused)
    assert kept == fits
    assert spool.waiting() == [fits.draft.id]


def test_what_another_process_delivered_makes_room(path, poll):
    spool, other = SpoolDirectory(path, 1), SpoolDirectory(path, 1)
    [kept] = spool.keep([entry()])
    other.remove(kept)
    poll(lambda: spool.keep([entry()]) != [] and len(spool.waiting()) == 1)


def test_the_same_key_and_content_is_the_first_message_once_more(spool, path):
    first, again = entry(key="k"), entry(key="k")
    assert spool.keep([first]) == [first]
    assert spool.keep([again]) == [first]
    assert SpoolDirectory(path, 10).keep([entry(key="k")]) == [first]
    assert spool.waiting() == [first.draft.id]
    assert spool.with_key("k") == first
    assert spool.with_key("other") is None
    assert names(spool, "new") == []


def test_the_same_key_with_other_content_is_a_conflict_that_names_the_first(spool):
    first = entry(key="k")
    [kept, refused] = spool.keep([first, entry("Other", key="k")])
    assert kept == first
    assert isinstance(refused, IdempotencyConflict)
    assert refused.message_id == ids.to_text(first.draft.id)
    assert spool.waiting() == [first.draft.id]


def test_a_key_is_free_again_with_its_message_gone(spool):
    first, again = entry(key="k"), entry(key="k")
    spool.keep([first])
    spool.remove(first)
    assert names(spool, "sms", "key") == []
    assert spool.keep([again]) == [again]


def test_many_threads_with_the_same_key_keep_one_message(path):
    spools = [SpoolDirectory(path, 1000) for _ in range(8)]
    start = threading.Barrier(8)

    def keep(spool):
        start.wait()
        return [spool.keep([entry(f"Hello {n}", key=f"k{n}")])[0].draft.id for n in range(20)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(keep, spools))
    assert len({tuple(each) for each in found}) == 1
    assert spools[0].waiting() == sorted(found[0])
    assert names(spools[0], "new") == []


def test_a_key_whose_message_never_got_its_name_is_taken_up(spool):
    first = entry(key="k")
    spool.keep([first])
    spool._name(first.draft.id).unlink()  # its process died between the two
    assert spool.with_key("k") is None
    assert spool.keep([entry(key="k")]) == [first]
    assert spool.waiting() == [first.draft.id]


def test_a_key_that_was_left_behind_long_ago_means_nothing(spool):
    first, again = entry(key="k", at=time.time() - LEFT_BEHIND - 1), entry(key="k")
    spool.keep([first])
    spool._name(first.draft.id).unlink()
    assert spool.keep([again]) == [again]
    assert spool.with_key("k") == again


def test_a_damaged_key_means_nothing(spool):
    first, again = entry(key="k"), entry(key="k")
    spool.keep([first])
    spool._key_name("k").write_bytes(b"\0" * 100)  # of the message, too: it is the same file
    with pytest.raises(Damaged):
        spool.read(first.draft.id)
    assert spool.keep([again]) == [again]


def test_on_a_disk_without_second_names_messages_are_kept_all_the_same(spool, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    first, again = entry(key="k"), entry(key="k")
    assert spool.keep([first, again]) == [first, again]
    assert len(spool.waiting()) == 2


def test_a_copy_under_another_name_is_damaged(spool):
    [kept] = spool.keep([entry()])
    other = ids.new_id()
    shutil.copy(spool._name(kept.draft.id), spool._name(other))
    with pytest.raises(Damaged, match="another message"):
        spool.read(other)


def test_a_huge_file_is_not_read_to_its_end(spool):
    huge = spool._name(ids.new_id())
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Damaged):
        spool.read(spool.waiting()[0])


def test_what_has_another_name_is_passed_over(spool):
    for name in ("notes.txt", "x.sms", ".sms", "lock"):
        (spool.path / name).write_text("")
    assert spool.waiting() == []
    assert spool.is_empty()


def test_what_dead_processes_left_is_swept_once_it_is_old(spool):
    kept, lost = entry(key="a"), entry(key="b")
    spool.keep([kept])
    spool.keep([lost])
    spool._name(lost.draft.id).rename(spool._name(lost.draft.id, "new"))
    spool.sweep(time.time())
    assert len(names(spool, "new", "key")) == 3
    spool.sweep(time.time() + LEFT_BEHIND + 1)
    spool.sweep(time.time() + LEFT_BEHIND + 1)
    assert names(spool, "new", "sms", "key") == sorted(
        [spool._name(kept.draft.id).name, spool._key_name("a").name]
    )


def test_the_lock_is_held_by_one_at_a_time(spool, path):
    with spool.delivering() as first, SpoolDirectory(path, 1).delivering() as second:
        assert (first, second) == (True, False)
    with spool.delivering() as again:
        assert again


def is_free(spool):
    with spool.delivering() as is_ours:
        return is_ours


def test_a_child_does_not_keep_the_lock_of_a_parent_that_died_with_it(spool, poll):
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        with spool.delivering() as is_ours:
            if os.fork() == 0:
                os.close(write)
                os.read(read, 1)
                os._exit(0)
            assert is_ours
            os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.waitpid(parent, 0)
        poll(lambda: is_free(spool))  # it may not have had its first turn yet
    finally:
        os.close(write)
        os.close(read)
