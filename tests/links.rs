//! A program that gives frames leaves nothing behind when it is started again.

use std::fs;
use std::time::{Duration, Instant};

use celebcam::picture::turn::Turn;
use celebcam::source::{self, FrameSource, Received, SourceSpec};

mod common;
use common::runs::Film;

/// Longest time for programs to end and to be started again, on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// The threads of a source's links, and the open files of this process.
fn held() -> (usize, usize) {
    let threads = fs::read_dir("/proc/self/task").expect("the threads can be listed").flatten();
    let of_links = threads.filter(|thread| {
        let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        ["frames", "messages"].contains(&name.trim())
    });
    let files = fs::read_dir("/proc/self/fd").expect("the files can be listed");
    (of_links.count(), files.count())
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: {:?}", held());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lose(source: &mut dyn FrameSource, times: u64) {
    let until = Instant::now() + LONG;
    while source.counters().reopened < times {
        assert!(Instant::now() < until, "it is started again");
        let received = source.next(Duration::from_millis(50)).expect("it is started again");
        assert!(!matches!(received, Received::End));
    }
}

#[test]
fn a_link_that_was_dropped_leaves_no_thread_and_no_open_file() {
    let film = Film::of_nobody();
    let script = film.pictures.join("camera.sh");
    // A child that outlives the program, in a session of its own, keeps its pipes open.
    let text = format!("cat '{}'\nsetsid sleep 90 &\nexit 0\n", film.mjpeg.display());
    fs::write(&script, text).expect("the script can be written");
    let (_, files_before) = held();
    let line = format!("sh '{}'", script.display());
    // A deadline for frames of some seconds would be waited for: the end of the program is enough.
    let spec = SourceSpec::Command { line, recording: false, wait: false };
    let mut source = source::open(&spec, Turn::default()).expect("the program starts");
    wait_until("the first link", || held().0 == 2);
    lose(&mut *source, 1);
    wait_until("one link", || held().0 <= 2);
    let (_, files_of_one) = held();
    lose(&mut *source, 2);
    wait_until("one link", || held().0 <= 2 && held().1 <= files_of_one);
    drop(source);
    wait_until("no link", || held() == (0, files_before));
}
