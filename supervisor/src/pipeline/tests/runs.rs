//! What runs again after a change.

use super::{Scope, World};

/// Three stages: each has one task for each input, the last one reads both others.
pub(super) const MEDIA: &str = r#"
[[stage]]
name = "wav"
from = "in/*"
run = "decode {} {out}"
out = "tmp/{/.}.wav"
temporary = true

[[stage]]
name = "text"
after = "wav"
run = "asr {} {out}"
out = "out/{/.}.txt"

[[stage]]
name = "pair"
after = ["wav", "text"]
run = "align {wav} {text} {out}"
out = "out/{item/.}.tsv"

[[stage]]
name = "all"
gather = "pair"
run = "cat {inputs} {out}"
out = "out/all"
"#;

/// A change, how it is made, which gives the pipeline after it, and what runs then.
type Change = (&'static str, fn(&mut World) -> String, &'static [&'static str]);

const CHANGES: [Change; 7] = [
    (
        "an input is touched",
        |world| {
            world.touch("in/a.mp3");
            MEDIA.to_owned()
        },
        &["all", "pair: in/a.mp3", "text: in/a.mp3", "wav: in/a.mp3"],
    ),
    (
        "an output is removed: its temporary input is made again, and keeps its identity",
        |world| {
            world.remove("out/b.txt");
            MEDIA.to_owned()
        },
        &["all", "pair: in/b.mp3", "text: in/b.mp3", "wav: in/b.mp3"],
    ),
    (
        "the last output is removed",
        |world| {
            world.remove("out/all");
            MEDIA.to_owned()
        },
        &["all"],
    ),
    (
        "a command is changed",
        |_| MEDIA.replace("asr", "asr -v"),
        &[
            "all",
            "pair: in/a.mp3",
            "pair: in/b.mp3",
            "text: in/a.mp3",
            "text: in/b.mp3",
            "wav: in/a.mp3",
            "wav: in/b.mp3",
        ],
    ),
    (
        "a stage is renamed",
        |_| MEDIA.replace("\"text\"", "\"words\"").replace("{text}", "{words}"),
        &[],
    ),
    (
        "an input is added",
        |world| {
            world.touch("in/c.mp3");
            MEDIA.to_owned()
        },
        &["all", "pair: in/c.mp3", "text: in/c.mp3", "wav: in/c.mp3"],
    ),
    (
        "an input is gone: the list of what is gathered has changed",
        |world| {
            world.remove("in/b.mp3");
            MEDIA.to_owned()
        },
        &["all"],
    ),
];

fn sorted(mut ran: Vec<String>) -> Vec<String> {
    ran.sort();
    ran
}

#[test]
fn the_second_run_does_nothing() {
    let mut world = World::with(&["in/a.mp3", "in/b.mp3"]);
    let ran = world.run(MEDIA);
    assert_eq!(ran.len(), 7, "{ran:?}");
    assert_eq!(ran[6], "all");
    assert!(!world.has("tmp/a.wav") && !world.has("tmp/b.wav") && world.has("out/all"));
    assert_eq!(world.run(MEDIA), [""; 0]);
    assert!(world.outlook(MEDIA).iter().all(|(_, reasons)| reasons.is_empty()));
}

#[test]
fn exactly_what_depends_on_a_change_runs() {
    let names = |what: &[&str]| what.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (what, change, expected) in CHANGES {
        let mut world = World::with(&["in/a.mp3", "in/b.mp3"]);
        world.run(MEDIA);
        let text = change(&mut world);
        let would: usize =
            world.outlook(&text).iter().flat_map(|(_, reasons)| reasons).map(|(_, n)| n).sum();
        assert_eq!(sorted(world.run(&text)), names(expected), "{what}");
        assert!(would >= expected.len().min(1), "{what}: {would}");
        assert_eq!(world.run(&text), [""; 0], "{what}: twice");
    }
}

#[test]
fn reasons_are_told() {
    let mut world = World::with(&["in/a.mp3"]);
    let of = |world: &World, text: &str, stage: &str| {
        let outlook = world.outlook(text);
        let (_, reasons) = outlook.into_iter().find(|(name, _)| name == stage).expect(stage);
        reasons.iter().map(|(reason, _)| *reason).collect::<Vec<_>>()
    };
    assert_eq!(of(&world, MEDIA, "text"), ["never run"]);
    world.fails = vec!["text: in/a.mp3"];
    world.run(MEDIA);
    assert_eq!(of(&world, MEDIA, "text"), ["failed before"]);
    assert_eq!(of(&world, MEDIA, "all"), ["never run"]);
    world.fails.clear();
    world.run(MEDIA);
    world.touch("in/a.mp3");
    assert_eq!(of(&world, MEDIA, "wav"), ["input changed"]);
    assert_eq!(of(&world, MEDIA, "text"), ["input changed"]);
    world.run(MEDIA);
    assert_eq!(of(&world, &MEDIA.replace("asr", "x"), "text"), ["command changed"]);
    assert_eq!(of(&world, &MEDIA.replace("asr", "x"), "wav"), ["temporary, made again"]);
    world.touch("out/a.txt");
    assert_eq!(of(&world, MEDIA, "text"), ["output changed"]);
    world.remove("out/a.txt");
    assert_eq!(of(&world, MEDIA, "text"), ["output missing"]);
}

/// Tasks that emit, tasks for what they have emitted, and a gather of these.
pub(super) const SPLIT: &str = r#"
[[stage]]
name = "split"
from = "in/*"
run = "split {}"
emits = "lines"
[[stage]]
name = "part"
after = "split"
run = "parse {} {out}"
out = "out/{}.p"
[[stage]]
name = "merge"
gather = "part"
run = "merge {inputs} {out}"
out = "out/all"
"#;

#[test]
fn what_a_task_prints_becomes_items() {
    let mut world = World::with(&["in/a", "in/b"]);
    world.emits.insert("split: in/a".into(), vec!["1", "2"]);
    world.emits.insert("split: in/b".into(), vec!["3"]);
    let ran = sorted(world.run(SPLIT));
    assert_eq!(ran, ["merge", "part: 1", "part: 2", "part: 3", "split: in/a", "split: in/b"]);
    assert_eq!(world.run(SPLIT), [""; 0]);
    world.touch("in/a");
    world.emits.insert("split: in/a".into(), vec!["2", "4"]);
    assert_eq!(sorted(world.run(SPLIT)), ["merge", "part: 4", "split: in/a"]);
    world.touch("in/a");
    assert_eq!(sorted(world.run(SPLIT)), ["split: in/a"], "the same values");
}

#[test]
fn limits_of_a_stage_are_kept() {
    let text = r#"
[[stage]]
name = "a"
from = {values = ["1", "2", "3", "4", "5", "6"]}
run = "a {} {out}"
out = "out/{}.a"
ahead = 2
[[stage]]
name = "b"
after = "a"
run = "b {} {out}"
out = "out/{/.}.b"
max = 1
"#;
    let mut world = World::default();
    let ran = world.run_with(text, Scope::default(), 5);
    assert_eq!(ran.len(), 12);
    assert_eq!(world.most["b"], 1);
    assert!(world.most["a"] <= 2, "{:?}", world.most);
}

#[test]
fn a_part_of_a_pipeline_runs() {
    let mut world = World::with(&["in/a.mp3", "in/b.mp3"]);
    let asked = |change: fn(&mut Scope)| {
        let mut asked = Scope::default();
        change(&mut asked);
        asked
    };
    let ran = world.run_with(MEDIA, asked(|asked| asked.only = vec![b"in/a.mp3".to_vec()]), 2);
    assert_eq!(sorted(ran), ["pair: in/a.mp3", "text: in/a.mp3", "wav: in/a.mp3"]);
    let ran = world.run_with(MEDIA, asked(|asked| asked.until = vec![1]), 2);
    assert_eq!(sorted(ran), ["text: in/b.mp3", "wav: in/b.mp3"]);
    assert!(world.has("tmp/b.wav"), "its readers lie beyond");
    let ran = world.run_with(MEDIA, asked(|asked| asked.keep_temporary = true), 2);
    assert_eq!(sorted(ran), ["all", "pair: in/b.mp3"]);
    assert!(world.has("tmp/b.wav"));
    assert_eq!(world.run(MEDIA), [""; 0]);
    assert!(!world.has("tmp/b.wav"), "what an earlier run kept is removed");
    let ran = world.run_with(MEDIA, asked(|asked| asked.force = vec![2]), 2);
    assert_eq!(ran.len(), 5, "{ran:?}");
}

#[test]
fn one_task_in_all_may_be_read_by_each() {
    let text = "[[stage]]\nname = 'parts'\nfrom = 'ref/*'\nrun = 'r {} {out}'\nout = 'out/{/}'\n\
                [[stage]]\nname = 'index'\ngather = 'parts'\nrun = 'i {inputs} {out}'\n\
                out = 'tmp/index'\ntemporary = true\n\
                [[stage]]\nname = 'map'\nfrom = 'in/*'\nrun = 'm {} {out}'\nout = 'tmp/{/}'\n\
                [[stage]]\nname = 'both'\nafter = ['map', 'index']\n\
                run = 'b {map} {index} {out}'\nout = 'out/{map/}.both'\n";
    let mut world = World::with(&["ref/1", "ref/2", "in/a", "in/b", "in/c"]);
    let ran = world.run(text);
    assert_eq!(ran.iter().filter(|what| what.starts_with("both: ")).count(), 3, "{ran:?}");
    assert!(!world.has("tmp/index"), "all its readers have finished");
    assert_eq!(world.run(text), [""; 0]);
    world.touch("in/b");
    assert_eq!(world.run(text), ["map: in/b", "index", "both: in/b"], "it is made again for one");
    world.touch("ref/1");
    assert_eq!(world.run(text).iter().filter(|what| what.starts_with("both: ")).count(), 3);
    world.fails = vec!["index"];
    world.touch("ref/1");
    assert_eq!(world.run(text), ["parts: ref/1", "index"], "without it none of them can run");
}

/// There are 2^60 ways through these stages.
#[test]
fn the_number_of_ways_through_the_stages_does_not_count() {
    for out in ["out = 'out/{item/}.NAME'\n", ""] {
        let mut text = "[[stage]]\nname = 's0'\nfrom = 'in/*'\nrun = 'x {}'\n".to_owned();
        let mut add = |name: &str, after: &str| {
            let out = out.replace("NAME", name);
            text += &format!("[[stage]]\nname = '{name}'\nafter = [{after}]\nrun = 'x'\n{out}");
        };
        for n in 1..=60 {
            for side in ["l", "r"] {
                add(&format!("{side}{n}"), &format!("'s{}'", n - 1));
            }
            add(&format!("s{n}"), &format!("'l{n}', 'r{n}'"));
        }
        let mut world = World::with(&["in/a"]);
        assert_eq!(world.run(&text).len(), 181);
        assert_eq!(world.run(&text), [""; 0]);
        let asked = Scope { until: vec![180], is_dry: true, ..Scope::default() };
        assert_eq!(world.run_with(&text, asked, 2), [""; 0]);
    }
}
