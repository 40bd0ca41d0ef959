use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::raw::PixelForm;
use super::*;

const NOW: Duration = Duration::ZERO;

/// What the feed does at each connect: the frames it gives, and whether it ends then.
struct Script {
    links: Vec<(Vec<RawFrame>, bool)>,
    manner: Manner,
    held: Vec<Giver<RawFrame>>,
    closed: Arc<AtomicUsize>,
}

struct ScriptLink {
    closed: Arc<AtomicUsize>,
    complete: bool,
}

impl Drop for ScriptLink {
    fn drop(&mut self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Link for ScriptLink {
    fn ending(&mut self, loss: Loss) -> Ending {
        Ending { loss, complete: self.complete }
    }
}

impl Feed for Script {
    type Link = ScriptLink;

    fn connect(&mut self, giver: Giver<RawFrame>, _spare: &Spare) -> Result<ScriptLink> {
        if self.links.is_empty() {
            return Err(Error::Stuck);
        }
        let (frames, ends) = self.links.remove(0);
        for frame in frames {
            assert!(giver.give(frame));
        }
        if ends {
            giver.end(Loss::StreamEnd);
        } else {
            self.held.push(giver);
        }
        Ok(ScriptLink { closed: Arc::clone(&self.closed), complete: true })
    }

    fn name(&self) -> &str {
        "script"
    }

    fn failure(&self, failure: Failure) -> Error {
        Error::Camera { name: "script".to_owned(), failure }
    }

    fn manner(&self) -> Manner {
        self.manner
    }
}

fn live(links: Vec<(Vec<RawFrame>, bool)>, reopen: bool, deadline: Duration) -> LiveSource<Script> {
    let manner = Manner {
        opening_deadline: Some(HOUR),
        frame_deadline: Some(deadline),
        reopen: reopen.then(|| Backoff::new(NOW, NOW)),
        patient: false,
        keep: Keep::Newest,
    };
    LiveSource::open(Script { links, manner, held: Vec::new(), closed: Arc::default() })
        .expect("the first link opens")
}

fn grey(bytes: usize) -> RawFrame {
    RawFrame::uncompressed(PixelForm::Grey, 2, 2, &vec![0; bytes], &Spare::default())
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_link_that_breaks_is_reported_once_and_opened_again() {
    let links = vec![(vec![grey(4)], true), (vec![], true), (vec![grey(4)], false)];
    let mut source = live(links, true, HOUR);
    assert!(matches!(source.next(NOW), Ok(Received::Frame(frame)) if frame.sequence == 0));
    assert!(matches!(source.next(NOW), Ok(Received::Lost(reason)) if reason == "the stream ended"));
    assert_eq!(source.feed.closed.load(Ordering::Relaxed), 1);
    for _ in 0..3 {
        assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    }
    assert!(matches!(source.next(NOW), Ok(Received::Restored)));
    assert!(matches!(source.next(NOW), Ok(Received::Frame(frame)) if frame.sequence == 1));
    assert_eq!(source.counters().reopened, 2);
}

#[test]
fn a_stalled_link_is_closed() {
    let links = vec![(vec![grey(4)], false), (vec![grey(4)], false)];
    let mut source = live(links, true, NOW);
    assert!(matches!(source.next(NOW), Ok(Received::Frame(_))));
    let Ok(Received::Lost(reason)) = source.next(NOW) else {
        panic!("the link is still open");
    };
    assert!(reason.starts_with("gave no picture for"), "{reason}");
    assert_eq!(source.feed.closed.load(Ordering::Relaxed), 1);
}

#[test]
fn corrupt_frames_are_counted_and_skipped() {
    let mut source = live(vec![(vec![grey(3)], false)], true, HOUR);
    assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    assert_eq!(source.counters().corrupt, 1);
    assert!(source.feed.held[0].give(grey(4)));
    assert!(matches!(source.next(NOW), Ok(Received::Frame(frame)) if frame.sequence == 1));
    assert_eq!(source.counters().delivered, 1);
}

#[test]
fn a_feed_that_never_worked_is_an_error() {
    let mut source = live(vec![(vec![grey(3)], true)], true, HOUR);
    assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    let error = source.next(NOW).unwrap_err();
    assert_eq!(error.to_string(), "script: the stream ended (1 frame was corrupt)");
}

#[test]
fn a_feed_that_is_waited_for_is_lost_until_it_gives_a_frame() {
    let manner = Manner {
        opening_deadline: Some(HOUR),
        frame_deadline: Some(HOUR),
        reopen: Some(Backoff::new(NOW, NOW)),
        patient: true,
        keep: Keep::Newest,
    };
    let script = Script { links: vec![], manner, held: Vec::new(), closed: Arc::default() };
    let mut source = LiveSource::open(script).expect("it is waited for");
    assert!(
        matches!(source.next(NOW), Ok(Received::Lost(reason)) if reason == "its driver does not let go of it")
    );
    assert!(source.is_looking());
    source.feed.links.push((vec![], true));
    assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    source.feed.links.push((vec![grey(4)], false));
    assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    assert!(matches!(source.next(NOW), Ok(Received::Restored)));
    assert!(!source.is_looking());
    assert!(matches!(source.next(NOW), Ok(Received::Frame(_))));
}

#[test]
fn a_feed_that_is_not_reopened_ends() {
    let mut source = live(vec![(vec![grey(4)], true)], false, HOUR);
    assert!(matches!(source.next(NOW), Ok(Received::Frame(_))));
    assert!(matches!(source.next(NOW), Ok(Received::End)));
}

#[test]
fn a_feed_that_cannot_be_connected_again_is_tried_again() {
    let mut source = live(vec![(vec![grey(4)], true)], true, HOUR);
    assert!(matches!(source.next(NOW), Ok(Received::Frame(_))));
    assert!(matches!(source.next(NOW), Ok(Received::Lost(_))));
    for _ in 0..4 {
        assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    }
}

#[test]
fn a_link_that_never_gives_a_frame_has_its_own_deadline() {
    let mut source = live(vec![(vec![], false)], true, NOW);
    assert!(matches!(source.next(NOW), Ok(Received::Nothing)));
    source.manner.opening_deadline = Some(NOW);
    assert!(source.next(NOW).is_err());
}
