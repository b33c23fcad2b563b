"""What a process knows of the way in which it was started."""

from __future__ import annotations

import sys

from serverless_flags import _fork as fork_module


class TestFacts:
    def test_this_process_is_no_fork(self) -> None:
        """Nor is it a child of multiprocessing, which need not be imported."""
        assert not fork_module.is_forked()
        assert not fork_module.is_multiprocessing_child()

    def test_the_first_process_with_an_invocation(self, monkeypatch) -> None:
        """Its forks know that they were forked by an invocation."""
        monkeypatch.setattr(fork_module, "_first_invoked_in", 0)
        before = fork_module.is_forked_by_invocation()
        fork_module.note_invocation()
        itself = fork_module.is_forked_by_invocation()
        monkeypatch.setattr(fork_module.os, "getpid", lambda: -1)
        fork_module.note_invocation()

        assert [False, False] == [before, itself]
        assert fork_module.is_forked_by_invocation()

    def test_multiprocessing_is_not_imported_for_it(self, monkeypatch) -> None:
        """A process that has not imported it is not one of its children."""
        monkeypatch.delitem(sys.modules, "multiprocessing.process", raising=False)

        assert not fork_module.is_multiprocessing_child()
