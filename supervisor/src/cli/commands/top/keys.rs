//! The keys of `msup top`, and what they ask for.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::watched::{Focus, Mode, Watched};
use crate::report::control::ControlRequest;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Leave,
    Ask(ControlRequest),
}

/// Takes a key. What concerns only the screen is done at once.
pub(super) fn take(watched: &mut Watched, key: KeyEvent) -> Wish {
    let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if is_ctrl_c {
        return Wish::Leave;
    }
    watched.said = None;
    match std::mem::take(&mut watched.mode) {
        Mode::Watching => watch(watched, key.code),
        Mode::Typing => {
            type_filter(watched, key.code);
            Wish::Nothing
        }
        Mode::Asking(seq) if key.code == KeyCode::Char('y') => Wish::Ask(ControlRequest::Kill(seq)),
        // Any other key is a no.
        Mode::Asking(_) => Wish::Nothing,
        // Any key closes an output.
        Mode::Reading(_) => {
            watched.wants_output = None;
            Wish::Nothing
        }
    }
}

fn type_filter(watched: &mut Watched, key: KeyCode) {
    match key {
        KeyCode::Enter => return,
        KeyCode::Esc => return watched.filter.clear(),
        KeyCode::Backspace => drop(watched.filter.pop()),
        KeyCode::Char(c) => watched.filter.push(c),
        _ => {}
    }
    watched.mode = Mode::Typing;
}

fn watch(watched: &mut Watched, key: KeyCode) -> Wish {
    match key {
        KeyCode::Char('q') => return Wish::Leave,
        KeyCode::Char('/') => watched.mode = Mode::Typing,
        KeyCode::Esc => watched.filter.clear(),
        KeyCode::Char('s') => watched.sort = watched.sort.next(),
        KeyCode::Down => watched.choose(true),
        KeyCode::Up => watched.choose(false),
        KeyCode::Tab => watched.turn_focus(),
        KeyCode::Char(key) if watched.is_over && "pd+-kr".contains(key) => {
            watched.said = Some("the run is over".into());
        }
        _ if watched.is_over => {}
        KeyCode::Char('p') if watched.is_paused() => return Wish::Ask(ControlRequest::Continue),
        KeyCode::Char('p') => return Wish::Ask(ControlRequest::Pause),
        KeyCode::Char('d') => return Wish::Ask(ControlRequest::Drain),
        KeyCode::Char('+') => return adjust(watched, 1),
        KeyCode::Char('-') => return adjust(watched, -1),
        KeyCode::Char('k') => match of_list(watched, Focus::Tasks) {
            Some(seq) => watched.mode = Mode::Asking(seq),
            None => watched.said = Some("choose a running task (Tab), then k".into()),
        },
        KeyCode::Char('r') => match of_list(watched, Focus::Failures) {
            Some(seq) => return Wish::Ask(ControlRequest::Retry(seq)),
            None => watched.said = Some("choose a failure (Tab), then r".into()),
        },
        KeyCode::Enter => return look(watched),
        _ => {}
    }
    Wish::Nothing
}

/// What is chosen, if that is in this list.
fn of_list(watched: &Watched, list: Focus) -> Option<u64> {
    watched.chosen().filter(|_| watched.focus == list)
}

/// What the chosen task has written.
fn look(watched: &mut Watched) -> Wish {
    if let Some(seq) = of_list(watched, Focus::Tasks) {
        watched.wants_output = Some(seq);
        return Wish::Ask(ControlRequest::Output(seq));
    }
    watched.said = Some(match watched.chosen() {
        Some(seq) => format!("task {seq} does not run any more: msup log RUN {seq} shows its end"),
        None => "no task runs".into(),
    });
    Wish::Nothing
}

fn adjust(watched: &Watched, by: i64) -> Wish {
    let Some(now) = &watched.last else { return Wish::Nothing };
    let procs = u32::try_from(i64::from(now.tokens) + by).unwrap_or(0);
    Wish::Ask(ControlRequest::Procs(procs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::control::{FailedTask, RunningTask, Said, Snapshot, TaskOutput};

    fn watched() -> Watched {
        let mut watched = Watched::default();
        watched.hear(Said::Snapshot(Box::new(Snapshot {
            tokens: 2,
            tasks: vec![RunningTask { seq: 3, ..RunningTask::default() }],
            failures: vec![FailedTask { seq: 4, ..FailedTask::default() }],
            ..Snapshot::default()
        })));
        watched
    }

    fn typed(watched: &mut Watched, keys: &[KeyCode]) -> Wish {
        keys.iter().fold(Wish::Nothing, |_, key| take(watched, KeyEvent::from(*key)))
    }

    #[test]
    fn each_key_asks_for_what_it_says() {
        let key = KeyCode::Char;
        let asked = |keys: &[KeyCode]| typed(&mut watched(), keys);
        assert_eq!(asked(&[key('p')]), Wish::Ask(ControlRequest::Pause));
        assert_eq!(asked(&[key('d')]), Wish::Ask(ControlRequest::Drain));
        assert_eq!(asked(&[key('+')]), Wish::Ask(ControlRequest::Procs(3)));
        assert_eq!(asked(&[key('-')]), Wish::Ask(ControlRequest::Procs(1)));
        assert_eq!(asked(&[KeyCode::Enter]), Wish::Ask(ControlRequest::Output(3)));
        assert_eq!(asked(&[key('q')]), Wish::Leave);
        assert_eq!(asked(&[KeyCode::Tab, key('r')]), Wish::Ask(ControlRequest::Retry(4)));
        assert_eq!(asked(&[key('x')]), Wish::Nothing);
    }

    #[test]
    fn a_task_is_killed_only_after_a_yes() {
        let key = KeyCode::Char;
        let mut asked = watched();
        assert_eq!(typed(&mut asked, &[key('k')]), Wish::Nothing);
        assert_eq!(asked.mode, Mode::Asking(3));
        assert_eq!(typed(&mut asked, &[key('n')]), Wish::Nothing);
        assert_eq!(asked.mode, Mode::Watching);
        assert_eq!(typed(&mut asked, &[key('k'), key('y')]), Wish::Ask(ControlRequest::Kill(3)));
        assert_eq!(typed(&mut asked, &[KeyCode::Tab, key('k')]), Wish::Nothing);
        assert!(asked.said.is_some_and(|said| said.contains("running task")));
    }

    #[test]
    fn a_run_that_is_over_is_asked_for_nothing() {
        let mut over = watched();
        over.is_over = true;
        for key in ['p', 'd', '+', '-', 'k', 'r'] {
            assert_eq!(typed(&mut over, &[KeyCode::Char(key)]), Wish::Nothing);
        }
        assert_eq!(typed(&mut over, &[KeyCode::Enter]), Wish::Nothing);
        assert_eq!(typed(&mut over, &[KeyCode::Char('q')]), Wish::Leave);
    }

    #[test]
    fn any_key_closes_an_output_and_does_nothing_else() {
        let mut reading = watched();
        let output = || TaskOutput { seq: 3, ..TaskOutput::default() };
        typed(&mut reading, &[KeyCode::Enter]);
        reading.hear(Said::Output(output()));
        assert_eq!(reading.mode, Mode::Reading(output()));
        assert_eq!(typed(&mut reading, &[KeyCode::Char('q')]), Wish::Nothing);
        assert_eq!(reading.mode, Mode::Watching);
        // The answer to an earlier look.
        reading.hear(Said::Output(output()));
        assert_eq!(reading.mode, Mode::Watching);
    }

    #[test]
    fn a_filter_is_typed_and_taken_back() {
        let mut typing = watched();
        typed(&mut typing, &[KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Char('x')]);
        typed(&mut typing, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!((typing.filter.as_str(), &typing.mode), ("q", &Mode::Watching));
        typed(&mut typing, &[KeyCode::Char('/'), KeyCode::Esc]);
        assert_eq!(typing.filter, "");
        typed(&mut typing, &[KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Enter, KeyCode::Esc]);
        assert_eq!((typing.filter.as_str(), &typing.mode), ("", &Mode::Watching));
    }
}
