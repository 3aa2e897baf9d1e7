//! A failure costs what depends on it, and nothing else.

use super::runs::{MEDIA, SPLIT};
use super::{Scope, World};

#[test]
fn an_item_that_fails_skips_only_what_follows_it() {
    let mut world = World::with(&["in/a.mp3", "in/b.mp3"]);
    world.fails = vec!["text: in/a.mp3"];
    let mut ran = world.run(MEDIA);
    ran.sort();
    let expected =
        ["pair: in/b.mp3", "text: in/a.mp3", "text: in/b.mp3", "wav: in/a.mp3", "wav: in/b.mp3"];
    assert_eq!(ran, expected);
    assert_eq!((world.failed_items, world.kept), (1, 1));
    assert!(world.has("tmp/a.wav"), "kept for its reader");
    world.fails.clear();
    let mut ran = world.run(MEDIA);
    ran.sort();
    assert_eq!(ran, ["all", "pair: in/a.mp3", "text: in/a.mp3"]);
    assert!(!world.has("tmp/a.wav"));
}

#[test]
fn a_gather_may_do_with_less() {
    let text = MEDIA.replace("gather = \"pair\"", "gather = \"pair\"\nmin = \"50%\"");
    let mut world = World::with(&["in/a.mp3", "in/b.mp3", "in/c.mp3"]);
    world.fails = vec!["text: in/a.mp3"];
    assert!(world.run(&text).contains(&"all".to_owned()));
    world.fails.clear();
    assert!(world.run(&text).contains(&"all".to_owned()), "a repair");
    let mut world = World::with(&["in/a.mp3", "in/b.mp3", "in/c.mp3"]);
    world.fails = vec!["text: in/a.mp3", "wav: in/b.mp3"];
    assert!(!world.run(&text).contains(&"all".to_owned()));
    assert_eq!(world.failed_items, 3, "the gather says why it does not run");
}

/// What would have been emitted is not known: it is missing.
#[test]
fn a_gather_misses_what_a_failed_task_has_not_emitted() {
    let mut world = World::with(&["in/a", "in/b"]);
    world.emits.insert("split: in/a".into(), vec!["1", "2"]);
    world.emits.insert("split: in/b".into(), vec!["3"]);
    world.fails = vec!["split: in/b"];
    let ran = world.run(SPLIT);
    assert!(ran.contains(&"part: 1".to_owned()) && !ran.contains(&"merge".to_owned()), "{ran:?}");
    world.fails.clear();
    assert!(world.run(SPLIT).contains(&"merge".to_owned()), "a repair");
    let with_less = SPLIT.replace("gather = \"part\"", "gather = \"part\"\nmin = \"50%\"");
    let mut world = World::with(&["in/a", "in/b"]);
    world.emits.insert("split: in/a".into(), vec!["1", "2"]);
    world.fails = vec!["split: in/b"];
    assert!(world.run(&with_less).contains(&"merge".to_owned()), "2 of 3");
}

#[test]
fn only_failed_ones_and_what_follows_them_are_retried() {
    let mut world = World::with(&["in/a.mp3", "in/b.mp3"]);
    world.fails = vec!["text: in/a.mp3"];
    world.run(MEDIA);
    world.fails.clear();
    world.touch("in/c.mp3");
    let asked = Scope { only_failed: true, ..Scope::default() };
    let mut ran = world.run_with(MEDIA, asked, 2);
    ran.sort();
    assert_eq!(ran, ["pair: in/a.mp3", "text: in/a.mp3"], "the new input is left");
}

#[test]
fn a_temporary_output_that_cannot_be_made_again_fails_its_readers_only() {
    let mut world = World::with(&["in/a.mp3", "in/b.mp3"]);
    world.run(MEDIA);
    world.fails = vec!["wav: in/a.mp3"];
    world.remove("out/a.tsv");
    assert_eq!(world.run(MEDIA), ["wav: in/a.mp3"]);
    world.fails.clear();
    let mut ran = world.run(MEDIA);
    ran.sort();
    assert_eq!(ran, ["all", "pair: in/a.mp3", "wav: in/a.mp3"]);
}
