"""The sentence says what happened with every number beside its objective."""

from __future__ import annotations

import sample_experiments
import samples

from ftchaos.evidence import Data, Evidence, sentence


def test_a_recovery_without_loss_reads_like_the_promise() -> None:
    assert sentence(samples.passed()) == (
        "The MySQL primary, its replicas and their volumes were destroyed at 06:15:02Z, "
        "the service met its SLO again 14.2 s later (RTO 4 h), "
        "0 of 61,204 acknowledged writes were lost (RPO 15 min)."
    )


def test_a_loss_says_how_far_it_reaches() -> None:
    assert "13,107 of 61,204 acknowledged writes were lost, the oldest 16 min 42 s before the fault (RPO 15 min)" in (
        sentence(samples.failed())
    )


def test_what_was_not_measured_is_said_to_be_unknown() -> None:
    text = sentence(samples.inconclusive())

    assert "the service did not meet its SLO again within 22.4 s (RTO 4 h)" in text
    assert "the data loss is unknown (RPO 15 min)" in text


def test_a_rehearsal_speaks_of_no_fault() -> None:
    assert sentence(samples.rehearsal()) == (
        "The backup was restored and verified in 11.7 s (RTO 4 h), "
        "the data loss is unknown, the backup was 8 h 22 min old (RPO 15 min)."
    )


def test_a_rehearsal_that_did_not_end_says_so() -> None:
    run = samples.rehearsal()
    run.recovery.recovery_time_s = None

    assert sentence(run).startswith("The backup was not seen restored and verified (RTO 4 h)")


def test_a_heartbeat_is_named_as_the_source() -> None:
    run = samples.rehearsal()
    run.data = Data(data_loss_s=2.5, source="heartbeat")

    assert "the data loss by the heartbeat was 2.5 s (RPO 15 min)" in sentence(run)


def test_a_refused_run_touched_nothing() -> None:
    assert sentence(samples.refused()) == "The run was refused before anything was touched."


def test_an_experiment_is_held_against_what_it_promises_and_names_the_last_to_come_back() -> None:
    assert sentence(sample_experiments.zone_outage()) == (
        "Zone-a lost its power at 06:15:02Z, "
        "the service met its SLO again 3.2 s later and the websocket after 5.3 s (promised 60 s), "
        "0 of 22,912 acknowledged writes were lost."
    )


def test_an_experiment_whose_service_was_the_last_to_come_back_names_no_other() -> None:
    run = sample_experiments.zone_outage()
    run.components = [one for one in run.components if one.name in ("database", "api", "cache-c")]

    assert ", the service met its SLO again 3.2 s later (promised 60 s), 0 of" in sentence(run)


def test_a_fault_that_nobody_noticed_failed_no_request() -> None:
    assert sentence(sample_experiments.replica_loss()) == (
        "The MySQL replica mysql-c was killed at 06:15:02Z, no request failed, "
        "0 of 22,912 acknowledged writes were lost."
    )


def test_a_component_that_did_not_come_back_and_the_way_that_lost_most_are_named() -> None:
    text = sentence(sample_experiments.zone_outage_failed())

    assert "3.2 s later, but the queue did not within 60.4 s (promised 60 s)" in text
    assert text.endswith(
        "1,519 of 22,912 acknowledged writes were lost; 1,307 of them in redis, not waiting for a replica; "
        "the oldest 0.9 s before the fault."
    )


def test_an_experiment_without_a_promise_of_its_own_is_held_against_the_rto() -> None:
    run = sample_experiments.zone_outage()
    run.plan.promises = []
    run.recovery.recovery_time_s = None

    assert "the service did not meet its SLO again within 13.4 s (RTO 4 h)" in sentence(run)


def test_an_experiment_without_samplers_does_not_say_that_nobody_noticed() -> None:
    run = sample_experiments.replica_loss()
    run.components = []

    assert "the service met its SLO again 18 ms later" in sentence(run)


def test_a_service_that_never_faltered_is_told_from_what_was_hit_behind_it() -> None:
    run = sample_experiments.replica_loss()
    run.components[0] = next(one for one in sample_experiments.zone_outage().components if one.name == "cache-a")

    assert "the service kept its SLO, the cache-a was well again after 5.0 s (RTO 4 h)" in sentence(run)
    run.components[0].restored_at = run.components[0].recovery_time_s = None
    assert "the service kept its SLO, but the cache-a did not come back within 3.1 s (RTO 4 h)" in sentence(run)


def test_a_component_that_failed_nothing_but_was_slow_did_notice_the_fault() -> None:
    run = sample_experiments.replica_loss()
    run.components[0].recovery_time_s = 4.3

    assert "the service kept its SLO, the database was well again after 4.3 s" in sentence(run)


def _drained(recovery_time_s: float, *, failed: bool) -> Evidence:
    """A drain of which everything was seen after 3 s."""
    run = sample_experiments.zone_outage()
    run.recovery.gradual, run.recovery.recovery_time_s = True, recovery_time_s
    run.recovery.proven_at = samples.at(3)
    run.components = [one for one in run.components if one.name == "api"]
    run.components[0].recovery_time_s = recovery_time_s
    if not failed:
        run.components[0].failed_at = run.components[0].writable_at = None
    return run


def test_a_drain_that_nobody_noticed_has_no_recovery_that_only_waits_until_it_is_seen() -> None:
    assert "no request failed" in sentence(_drained(0.02, failed=False))
    assert "the service kept its SLO (promised" in sentence(_drained(0.02, failed=True))


def test_a_drain_that_made_the_service_slow_is_told_of_though_nothing_failed() -> None:
    assert "the service met its SLO again 2.5 s later" in sentence(_drained(2.5, failed=False))


def test_a_loss_in_one_way_only_is_all_of_it() -> None:
    run = sample_experiments.zone_outage_failed()
    run.data.lost = 1_307
    run.data.stores["redis, waiting for a replica"]["lost"] = 0

    assert "1,307 of 22,912 acknowledged writes were lost; all of them in redis, not waiting for a" in sentence(run)
