//! What `msup top` shows.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Sparkline, Table, TableState, Wrap};
use unicode_width::UnicodeWidthStr;

use super::watched::{Focus, Mode, SortKey, Watched};
use crate::report::bar::Progress;
use crate::report::control::{FailedTask, Lane, RunningTask, Snapshot, StageNow, TaskOutput};
use crate::report::paint::Paint;
use crate::report::{escape, times};

/// Below this width the two charts are one above the other, and tasks have fewer columns.
const BESIDE: u16 = 70;

/// From this height on there is room for more than the most important rows of each list.
const TALL: u16 = 40;

/// Running tasks, and the heads of their columns, have this many rows before charts have any.
const TASK_ROWS: u16 = 6;

/// A message has at most this many rows.
const MESSAGE_ROWS: u16 = 3;

/// The width of a token.
const LANE: u16 = 26;

/// The room that each part has.
struct Parts {
    head: Rect,
    state: Rect,
    charts: Rect,
    lanes: Rect,
    stages: Rect,
    tasks: Rect,
    failures: Rect,
    foot: Rect,
}

impl Parts {
    /// `foot`: the rows of the last part.
    fn of(area: Rect, now: Option<&Snapshot>, foot: u16) -> Parts {
        let (lanes, stages, failures) = now.map_or((0, 0, 0), |now| {
            (lanes(now).len() as u16, now.stages.len() as u16, now.failures.len() as u16)
        });
        let most = |short, tall| if area.height >= TALL { tall } else { short };
        let lanes = lanes.div_ceil((area.width / LANE).max(1)).min(most(2, 8));
        let with_head = |rows: u16, at_most: u16| match rows {
            0 => 0,
            rows => rows.min(at_most) + 1,
        };
        let (stages, failures) = (with_head(stages, most(4, 12)), with_head(failures, most(3, 8)));
        let others = 2 + lanes + stages + failures + foot;
        // Charts may become lower, and leave room for tasks.
        let charts = if area.width >= BESIDE { [4, 2, 0] } else { [8, 4, 0] };
        let has_room = |charts: &u16| area.height >= others + charts + TASK_ROWS;
        let [head, state, charts, lanes, stages, tasks, failures, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(charts.into_iter().find(has_room).unwrap_or(0)),
            Constraint::Length(lanes),
            Constraint::Length(stages),
            Constraint::Min(2),
            Constraint::Length(failures),
            Constraint::Length(foot),
        ])
        .areas(area);
        Parts { head, state, charts, lanes, stages, tasks, failures, foot }
    }
}

impl Watched {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let foot = self.foot(frame.area().width);
        let parts = Parts::of(frame.area(), self.last.as_ref(), foot.1);
        frame.render_widget(foot.0, parts.foot);
        let Some(now) = &self.last else {
            let text = if self.is_over { "The run is over." } else { "Waiting for the run ..." };
            frame.render_widget(Paragraph::new(text), parts.head);
            return;
        };
        frame
            .render_widget(Paragraph::new(self.progress(now, parts.head.width)).bold(), parts.head);
        frame.render_widget(Paragraph::new(self.state(now, parts.state.width)), parts.state);
        self.draw_charts(frame, parts.charts, now);
        draw_lanes(frame, parts.lanes, now);
        frame.render_widget(stages(&now.stages), parts.stages);
        self.draw_tasks(frame, parts.tasks);
        let mut chosen = TableState::new().with_selected(self.chosen_place(Focus::Failures));
        frame.render_stateful_widget(failures(&self.failures()), parts.failures, &mut chosen);
        if let Mode::Reading(output) = &self.mode {
            draw_output(frame, output);
        }
    }

    fn progress(&self, now: &Snapshot, width: u16) -> String {
        let progress = Progress {
            total: now.counts.total,
            all_read: now.counts.all_read,
            ended: now.counts.finished,
            running: now.counts.running,
            failed: now.counts.failed,
            retried: now.counts.retried,
            stops: now.state == "stopping" && !self.is_over,
            is_paused: now.state == "paused" && !self.is_over,
            rate: self.rate().filter(|_| !self.is_over),
            longest: Vec::new(),
        };
        // It leaves the last column free.
        progress.lines(usize::from(width) + 1, Paint { colours: false }).swap_remove(0)
    }

    fn state<'a>(&self, now: &'a Snapshot, width: u16) -> Line<'a> {
        let lasting = times::duration(now.seconds);
        let (state, since) = match (self.is_over, now.state.as_str()) {
            (true, _) => (Span::from("over").bold(), "after"),
            (_, "running") => (Span::from("running").green(), "for"),
            (_, state) => (Span::from(state).yellow().bold(), "at"),
        };
        let memory = now.available.map(|bytes| format!("{} available", times::size(bytes)));
        let run = format!("run {}", now.run);
        let mut left = usize::from(width).saturating_sub(state.width());
        let mut line = vec![state];
        let rest = [format!("{since} {lasting}"), run, memory.unwrap_or_default()];
        for (at, part) in rest.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            let part = format!("{}{part}", if at == 0 { " " } else { " · " });
            // What has no room is left out whole: a part of an id names nothing.
            if part.width() > left {
                break;
            }
            left -= part.width();
            line.push(part.into());
        }
        Line::from(line)
    }

    fn draw_charts(&self, frame: &mut Frame<'_>, area: Rect, now: &Snapshot) {
        let limit = now.limit.map_or(String::new(), |limit| {
            format!(", limit {limit} ({})", now.reason.as_deref().unwrap_or_default())
        });
        let in_flight = format!("{} in flight{limit}", now.counts.running);
        let tokens = format!("{} token{}", now.tokens, if now.tokens == 1 { "" } else { "s" });
        // Where the number in flight does not depend on it, CPU use is not measured.
        let Some(cpu) = now.cpu else {
            let title = format!("{in_flight}, {tokens}");
            return chart(frame, area, &title, &self.flight, Color::Cyan);
        };
        let is_wide = area.width >= BESIDE;
        let halves = [Constraint::Fill(1), Constraint::Fill(1)];
        let split = if is_wide { Layout::horizontal(halves) } else { Layout::vertical(halves) };
        let [left, right] = split.spacing(if is_wide { 2 } else { 0 }).areas(area);
        chart(frame, left, &in_flight, &self.flight, Color::Cyan);
        let used = format!("{cpu:.1} CPUs used, {tokens}");
        chart(frame, right, &used, &self.cpu, Color::Yellow);
    }

    fn draw_tasks(&self, frame: &mut Frame<'_>, area: Rect) {
        let is_wide = area.width >= BESIDE;
        let has_stages = self.last.as_ref().is_some_and(|now| !now.stages.is_empty());
        let mut widths = vec![Constraint::Length(8), Constraint::Length(12)];
        let mut heads = vec!["task", "running for"];
        if is_wide {
            widths.extend([10, 5, 9, 3].map(Constraint::Length));
            heads.extend(["activity", "CPUs", "memory", "try"]);
            if has_stages {
                widths.push(Constraint::Length(12));
                heads.push("stage");
            }
        }
        widths.push(Constraint::Fill(1));
        heads.push("value");
        let rows = self.tasks().into_iter().map(|task| row_of(task, is_wide, has_stages));
        let table = Table::new(rows, widths)
            .header(Row::new(heads).style(Style::new().dim()))
            .row_highlight_style(Style::new().reversed());
        let mut chosen = TableState::new().with_selected(self.chosen_place(Focus::Tasks));
        frame.render_stateful_widget(table, area, &mut chosen);
        let all = self.last.as_ref().map_or(0, |now| now.tasks.len());
        if all > 0 && self.tasks().is_empty() && area.height > 1 {
            let text = format!("none of {all} tasks has this in its value");
            let below = Rect { y: area.y + 1, height: 1, ..area };
            frame.render_widget(Paragraph::new(text).dim(), below);
        }
    }

    /// The last lines, and their number.
    fn foot(&self, width: u16) -> (Paragraph<'_>, u16) {
        if let Mode::Typing = self.mode {
            return (Paragraph::new(format!("/{}_", escape::value(self.filter.as_bytes()))), 1);
        }
        if let Mode::Asking(seq) = self.mode {
            let text = format!("Kill task {seq} (it counts as failed)? y/n");
            return (Paragraph::new(text).yellow().bold(), 1);
        }
        if let Some(said) = &self.said {
            let text = escape::value(said.as_bytes());
            // A row that breaks between words may be half empty.
            let rows =
                (text.width() as u16).div_ceil((width * 3 / 4).max(1)).clamp(1, MESSAGE_ROWS);
            return (Paragraph::new(text).wrap(Wrap::default()).red(), rows);
        }
        if let Mode::Reading(_) = self.mode {
            return (Paragraph::new("any key closes this").dim(), 1);
        }
        let filter = match self.filter.as_str() {
            "" => String::new(),
            filter => format!("only {} (esc: all)", escape::value(filter.as_bytes())),
        };
        let sort = match self.sort {
            SortKey::Elapsed => String::new(),
            sort => format!("by {}", sort.name()),
        };
        let parts = [&[filter, sort], &self.keys()[..]].concat();
        (Paragraph::new(fitting(parts, width)).dim(), 1)
    }

    /// The keys that do something now, the most important ones first.
    fn keys(&self) -> Vec<String> {
        let state = self.last.as_ref().map_or("", |now| now.state.as_str());
        let of_state: &[&str] = match state {
            _ if self.is_over => &[],
            "stopping" => &["enter output", "k kill"],
            "paused" => {
                &["p continue", "d drain", "+- tokens", "enter output", "k kill", "r retry"]
            }
            _ => &["p pause", "d drain", "+- tokens", "enter output", "k kill", "r retry"],
        };
        let keys = ["q quit"].iter().chain(of_state).chain(&["/ filter", "s sort"]);
        keys.map(|key| (*key).to_owned()).collect()
    }
}

/// As many of these as have room beside each other.
fn fitting(parts: Vec<String>, width: u16) -> String {
    let mut line = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let between = if line.is_empty() { "" } else { "  " };
        if line.width() + between.len() + part.width() > usize::from(width) {
            break;
        }
        line += between;
        line += part;
    }
    line
}

fn row_of(task: &RunningTask, is_wide: bool, has_stages: bool) -> Row<'static> {
    let mut cells = vec![task.seq.to_string(), times::duration(task.seconds)];
    if is_wide {
        cells.push(task.activity.clone().unwrap_or_default());
        cells.push(task.cpu.map_or(String::new(), |cpus| format!("{cpus:.1}")));
        cells.push(task.memory.map_or(String::new(), times::size));
        cells.push(if task.attempt > 1 { task.attempt.to_string() } else { String::new() });
        if has_stages {
            cells.push(escape::value(task.stage.as_deref().unwrap_or_default().as_bytes()));
        }
    }
    // In a pipeline the value begins with the stage.
    let stage = task.stage.as_ref().filter(|_| has_stages && is_wide);
    let value = stage.and_then(|stage| task.value.strip_prefix(stage)?.strip_prefix(": "));
    cells.push(escape::value(value.unwrap_or(&task.value).as_bytes()));
    Row::new(cells)
}

/// The tokens that are shown. With `-j N`, when CPU use is not measured, each task has one.
fn lanes(now: &Snapshot) -> &[Lane] {
    if now.cpu.is_some() { &now.lanes } else { &[] }
}

fn draw_lanes(frame: &mut Frame<'_>, area: Rect, now: &Snapshot) {
    let columns = (area.width / LANE).max(1) as usize;
    let lines = lanes(now).chunks(columns).map(|lanes| {
        let cells = lanes.iter().flat_map(|lane| {
            let task = lane.seq.map_or(String::new(), |seq| format!("task {seq}"));
            let colour = match lane.state.as_str() {
                "running" | "charged" => Color::Green,
                _ => Color::Blue,
            };
            let width = usize::from(LANE);
            let mark = Span::styled("■ ", Style::new().fg(colour));
            [
                mark,
                Span::from(format!(
                    "{:<1$}",
                    format!("{} {} {task}", lane.token, lane.state),
                    width - 2
                )),
            ]
        });
        Line::from(cells.collect::<Vec<_>>())
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn stages(stages: &[StageNow]) -> Table<'static> {
    let rows = stages.iter().map(|stage| {
        let number = |count: u64| if count > 0 { count.to_string() } else { String::new() };
        Row::new([
            escape::value(stage.name.as_bytes()),
            format!("{}/{}", stage.succeeded, stage.tasks),
            number(stage.running),
            number(stage.failed),
            number(stage.skipped),
        ])
    });
    let widths = [
        Constraint::Max(24),
        Constraint::Length(16),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let head = Row::new(["stage", "succeeded", "running", "failed", "skipped"]);
    Table::new(rows, widths).header(head.style(Style::new().dim()))
}

fn failures(failures: &[&FailedTask]) -> Table<'static> {
    let rows = failures.iter().map(|failure| {
        Row::new([
            failure.seq.to_string(),
            escape::cause(&failure.cause),
            escape::value(failure.value.as_bytes()),
        ])
    });
    let widths = [Constraint::Length(8), Constraint::Fill(1), Constraint::Fill(1)];
    let head = Row::new(["failed", "cause", "value"]);
    Table::new(rows, widths)
        .header(head.style(Style::new().dim().red()))
        .row_highlight_style(Style::new().reversed())
}

/// The last lines of a task's output, above everything else.
fn draw_output(frame: &mut Frame<'_>, output: &TaskOutput) {
    let area = frame.area();
    let room = Rect { height: area.height.saturating_sub(1), ..area };
    let title = format!(" task {}: the last lines so far ", output.seq);
    let inside = usize::from(room.height.saturating_sub(2));
    frame.render_widget(Clear, room);
    let text = newest_lines(output, inside);
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title(title)), room);
}

/// The last lines of both outputs, in no more than `room` rows. Standard error has half of them at
/// most.
fn newest_lines(output: &TaskOutput, room: usize) -> Vec<Line<'static>> {
    let [out, error] = [&output.stdout, &output.stderr].map(|text| escape::lines(text.as_bytes()));
    let mut left = room;
    let mut parts = Vec::new();
    for (name, text, most) in
        [("standard error", &error, room / 2), ("standard output", &out, room)]
    {
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() && name == "standard error" {
            continue;
        }
        let shown = lines.len().min(left.min(most).saturating_sub(1));
        left = left.saturating_sub(shown + 1);
        let head =
            format!("{name}: {} line{}", lines.len(), if lines.len() == 1 { "" } else { "s" });
        let newest = lines[lines.len() - shown..].iter().map(|line| Line::from((*line).to_owned()));
        parts.push([Line::from(head).dim()].into_iter().chain(newest).collect::<Vec<_>>());
    }
    parts.into_iter().rev().flatten().collect()
}

/// A title, and below it the newest numbers that have room.
fn chart(frame: &mut Frame<'_>, area: Rect, title: &str, numbers: &VecDeque<u64>, colour: Color) {
    let [above, below] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(title.to_owned()), above);
    let room = usize::from(below.width);
    let newest: Vec<u64> =
        numbers.iter().skip(numbers.len().saturating_sub(room)).copied().collect();
    frame.render_widget(Sparkline::default().data(newest).style(Style::new().fg(colour)), below);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_are_seen_whatever_the_room() {
        let lines = |name: &str, count| (1..=count).map(|n| format!("{name} {n}\n")).collect();
        let shown = |out, error, room| {
            let (stdout, stderr) = (lines("out", out), lines("err", error));
            let output = TaskOutput { stdout, stderr, ..TaskOutput::default() };
            let shown = newest_lines(&output, room);
            shown.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(1, 0, 9), ["standard output: 1 line", "out 1"]);
        let [out, error] = ["standard output: 9 lines", "standard error: 9 lines"];
        assert_eq!(shown(9, 9, 6), [out, "out 8", "out 9", error, "err 8", "err 9"]);
        assert_eq!(shown(9, 9, 5), [out, "out 8", "out 9", error, "err 9"]);
        let error = "standard error: 1 line";
        assert_eq!(shown(9, 1, 5), [out, "out 8", "out 9", error, "err 1"]);
        assert_eq!(shown(9, 0, 3), [out, "out 8", "out 9"]);
    }
}
