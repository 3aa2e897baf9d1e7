//! Tests about tasks that were in flight when msup was killed: run last, alone, and finally not at
//! all.

use super::*;

fn suspect(value: &str, alone: u32) -> Input {
    let tried = Tried { attempts: 1, is_suspect: true, alone, ..Tried::default() };
    Input { value: value.into(), earlier: Earlier::Tried(tried), ..Input::default() }
}

fn fresh(value: &str) -> Input {
    Input { value: value.into(), ..Input::default() }
}

fn values(driver: &Driver, slots: [u16; 2]) -> Vec<&[u8]> {
    slots.iter().filter_map(|slot| Some(driver.engine.task(*slot)?.value.as_slice())).collect()
}

#[test]
fn suspects_run_last_and_one_at_a_time_the_least_suspicious_first() {
    for admits in [false, true] {
        let mut driver = Driver::with(Limits { admits, procs: 2, ..limits() });
        let inputs = vec![suspect("a", 1), suspect("b", 0), fresh("c"), fresh("d")];
        driver.step(Event::Inputs(inputs));
        assert_eq!(values(&driver, [0, 1]), [b"c", b"d"]);
        driver.step(Event::InputsEnded);
        driver.outcome(0, Verdict::Done);
        assert_eq!(values(&driver, [0, 1]), [b"d"], "one still runs");
        driver.outcome(1, Verdict::Done);
        assert_eq!(values(&driver, [0, 1]), [b"b"]);
        let slot = (0..2).find(|slot| driver.engine.task(*slot).is_some()).expect("it runs");
        driver.outcome(slot, Verdict::Done);
        assert_eq!(values(&driver, [0, 1]), [b"a"]);
    }
}

#[test]
fn nothing_is_started_beside_a_suspect_that_runs() {
    let mut driver = Driver::with(Limits { procs: 2, ..limits() });
    driver.step(Event::Inputs(vec![suspect("a", 0), suspect("b", 0)]));
    assert_eq!(values(&driver, [0, 1]), [b""; 0], "there may be others");
    driver.step(Event::InputsEnded);
    assert_eq!(values(&driver, [0, 1]), [b"a"]);
    driver.step(Event::Looked(view(2, 0)));
    // Killed from outside: it is retried, still alone.
    driver.outcome(0, Verdict::Signaled(9));
    assert_eq!(values(&driver, [0, 1]), [b"a"]);
}

#[test]
fn a_suspect_for_whose_output_all_others_wait_does_not_wait_for_them() {
    let mut driver = Driver::with(limits());
    driver.step(Event::Inputs(vec![suspect("a", 0)]));
    driver.step(Event::OutputPressure(OutputPressure::Turn));
    driver.step(Event::Inputs(vec![fresh("b")]));
    assert_eq!(values(&driver, [0, 1]), [b"a"]);
}

#[test]
fn a_task_that_was_alone_at_too_many_deaths_is_quarantined() {
    for (crash_limit, limit) in [(3, 5), (8, 8)] {
        let policy = Policy { crash_limit, ..Policy::default() };
        let mut driver = Driver::with(Limits { policy, ..limits() });
        driver.step(Event::Inputs(vec![suspect("a", limit), suspect("b", limit - 1)]));
        driver.step(Event::InputsEnded);
        let says = format!("1 msup was killed each of the {limit} times it ran alone at 1");
        assert_eq!(driver.recorded, [says, "2 inputs".into()]);
        assert_eq!(driver.engine.tally().quarantined, 1);
        assert_eq!(values(&driver, [0, 1]), [b"b"]);
    }
}

#[test]
fn crashes_of_earlier_generations_count() {
    let mut driver = Driver::with(limits());
    let tried = Tried { attempts: 2, crashes: 2, ..Tried::default() };
    let input = Input { value: b"a".to_vec(), earlier: Earlier::Tried(tried), ..Input::default() };
    driver.step(Event::Inputs(vec![input]));
    driver.step(Event::InputsEnded);
    driver.outcome(0, Verdict::Signaled(11));
    assert_eq!(driver.recorded.last().map(String::as_str), Some("1 signal 11 at 3"));
    assert_eq!(driver.engine.tally().quarantined, 1);
}
