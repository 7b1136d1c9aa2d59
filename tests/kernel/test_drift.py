"""What becomes of the container parent after it was ensured: controllers that somebody withdraws,
levels that somebody removes. The surveys' timer is set to an hour: what is seen here was told by the
kernel."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cgroups import control  # noqa: E402
from daemon import needs_root  # noqa: E402
from tree_case import HostCase  # noqa: E402


class DriftCase(HostCase):
    def setUp(self):
        super().setUp()
        if not self.tree.offered:
            self.skipTest("cgroup v2 has no controller here")
        self.ensured()
        self.eventually_delegated(self.tree.offered)

    def delegated(self):
        metrics = self.daemon.metrics()
        name = "surveyd_cgroup_controller_delegated"
        return {one for one in self.tree.offered if metrics.value(name, controller=one) == 1}

    def eventually_delegated(self, controllers):
        self.daemon.eventually(lambda: self.delegated() == set(controllers), f"{controllers}")

    def drift(self):
        return self.daemon.metrics().value("surveyd_cgroup_drift_total")


@needs_root
class Drift(DriftCase):
    def test_a_withdrawn_controller_is_seen_at_once(self):
        control(self.parent, "-", self.tree.offered)
        self.eventually_delegated(())
        self.assertEqual(self.drift(), len(self.tree.offered))
        self.daemon.wait_for_log("has lost the controller")

    def test_each_loss_counts_once(self):
        for _ in range(2):
            control(self.parent, "-", self.tree.offered)
            self.eventually_delegated(())
            generation = self.daemon.generation()
            self.daemon.request("POST", "/survey")
            self.assertGreater(self.daemon.generation(), generation)
            control(self.parent, "+", self.tree.offered)
            self.eventually_delegated(self.tree.offered)
        self.assertEqual(self.drift(), 2 * len(self.tree.offered))

    def test_ensure_repairs_it_without_a_new_loss(self):
        control(self.parent, "-", self.tree.offered)
        self.eventually_delegated(())
        self.ensured()
        self.eventually_delegated(self.tree.offered)
        self.assertEqual(self.drift(), len(self.tree.offered))

    def test_a_parent_that_is_removed_has_lost_everything(self):
        self.parent.rmdir()
        self.eventually_delegated(())
        self.assertEqual(self.drift(), len(self.tree.offered))
        self.assertFalse(self.parent.exists())

    def settled(self):
        """The generation, once the surveys that follow an ensure are over."""
        looks = []

        def is_same():
            looks.append(self.daemon.generation())
            return len(looks) > 20 and len(set(looks[-20:])) == 1

        self.daemon.eventually(is_same, "no survey follows another")
        return looks[-1]

    def test_containers_that_come_and_go_are_no_drift(self):
        generation = self.settled()
        for name in ("a", "b"):
            (self.parent / name).mkdir()
            (self.parent / name).rmdir()
        self.assertEqual(self.settled(), generation)
        self.assertEqual(self.drift(), 0)


@needs_root
class Repair(DriftCase):
    def start(self, *prefix, **how):
        return super().start(*prefix, settings=("--repair",), **how)

    def test_a_withdrawn_controller_comes_back_by_itself(self):
        control(self.parent, "-", self.tree.offered)
        self.daemon.wait_for_log("has been ensured again")
        self.eventually_delegated(self.tree.offered)
        self.assertEqual(self.drift(), len(self.tree.offered))
        repairs = self.daemon.metrics().value(
            "surveyd_cgroup_operations_total", operation="repair", result="ok"
        )
        self.assertEqual(repairs, 1)

    def test_what_is_withdrawn_right_after_a_repair_comes_back_as_well(self):
        for _ in range(2):
            control(self.parent, "-", self.tree.offered)
            self.daemon.eventually(
                lambda: self.tree.enabled(self.parent) == self.tree.offered, "all are back"
            )

    def test_a_parent_that_is_removed_is_made_again(self):
        self.parent.rmdir()
        self.daemon.wait_for_log("has been ensured again")
        self.eventually_delegated(self.tree.offered)
        self.assertTrue(self.parent.is_dir())


if __name__ == "__main__":
    unittest.main()
