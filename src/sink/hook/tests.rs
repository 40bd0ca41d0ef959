use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Far longer than a test takes.
const LONG: Duration = Duration::from_secs(600);

fn job(kind: EventKind) -> Job {
    let mut event = Event::new(kind, SystemTime::UNIX_EPOCH);
    event.name = Some("Ann O'Neil".to_string());
    event.confidence = Some(0.5);
    Job::of(&event).unwrap()
}

/// A supervisor of the shell command `script`, in which `$0` is `folder`.
fn supervisor(script: &str, folder: &Path, at_once: usize) -> Supervisor {
    let argv = ["sh", "-c", script, &folder.to_string_lossy()].map(String::from).to_vec();
    Supervisor::new(HookSpec { argv, at_once, time_limit: LONG })
}

/// Takes turns at the present time until `done`.
fn until(supervisor: &mut Supervisor, queue: &Queue<Job>, done: impl Fn(&Supervisor) -> bool) {
    let since = Instant::now();
    while !done(supervisor) {
        assert!(since.elapsed() < 60 * SECOND, "it takes too long");
        supervisor.turn(queue, Instant::now());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !(state.is_empty() || state.contains(") Z "))
}

#[test]
fn a_command_gets_the_event_on_its_input_and_in_variables() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"cat > "$0/line"; echo "$CELEBCAM_EVENT $CELEBCAM_NAME $CELEBCAM_CONFIDENCE ${CELEBCAM_ID-none}" > "$0/variables""#;
    let mut supervisor = supervisor(script, folder.path(), 1);
    let queue = Queue::new(ROOM, LONG);
    queue.put(Instant::now(), job(EventKind::CameraLost));
    until(&mut supervisor, &queue, |it| !it.running.is_empty());
    until(&mut supervisor, &queue, |it| it.running.is_empty());
    let line = fs::read_to_string(folder.path().join("line")).unwrap();
    assert_eq!(line, job(EventKind::CameraLost).line);
    assert!(line.ends_with("}\n"));
    let variables = fs::read_to_string(folder.path().join("variables")).unwrap();
    assert_eq!(variables, "camera_lost Ann O'Neil 0.5000 none\n");
    assert!(supervisor.failed.rest().is_none());
}

#[test]
fn a_bounded_number_runs_and_what_waits_too_long_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = supervisor("exec sleep 600", folder.path(), 2);
    let queue = Queue::new(ROOM, SECOND);
    let start = Instant::now();
    for _ in 0..5 {
        queue.put(start, job(EventKind::Start));
    }
    supervisor.turn(&queue, start);
    assert_eq!(supervisor.running.len(), 2);
    assert!(!queue.is_empty());
    supervisor.turn(&queue, start + 2 * SECOND);
    assert!(queue.is_empty());
    assert_eq!(supervisor.running.len(), 2);
}

#[test]
fn a_command_that_takes_too_long_ends_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        r#"trap "" TERM; sleep 600 & echo $$ $! > "$0/new"; mv "$0/new" "$0/pids"; wait; wait"#;
    let mut supervisor = supervisor(script, folder.path(), 1);
    let queue = Queue::new(ROOM, LONG);
    queue.put(Instant::now(), job(EventKind::Start));
    let pids = folder.path().join("pids");
    until(&mut supervisor, &queue, |_| pids.exists());
    let now = Instant::now();
    assert!(supervisor.running[0].turn(now + LONG, None).is_none(), "it is asked to end");
    assert!(supervisor.running[0].turn(now + LONG, None).is_none(), "it ignores that");
    assert!(supervisor.running[0].turn(now + LONG + SECOND, None).is_none(), "it is killed");
    until(&mut supervisor, &queue, |it| it.running.is_empty());
    for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
        assert!(!is_alive(pid), "{pid}");
    }
}

#[test]
fn failures_are_told_with_the_last_message() {
    let argv = ["sh", "-c", "echo first >&2; echo no door >&2; exit 3"].map(String::from);
    let now = Instant::now();
    let mut running = Running::start(&argv, &job(EventKind::End), now, LONG).unwrap();
    let outcome = loop {
        if let Some(outcome) = running.turn(now, None) {
            break outcome;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(outcome.unwrap_err(), "ended with exit status: 3, its last message: no door");
}

#[test]
fn the_last_event_gets_a_command_in_the_place_of_one_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        r#"echo "$CELEBCAM_EVENT" >> "$0/told"; [ "$CELEBCAM_EVENT" = end ] || exec sleep 600"#;
    let argv = ["sh", "-c", script, &folder.path().to_string_lossy()].map(String::from).to_vec();
    let mut sink = HookSink::start(HookSpec { argv, at_once: 1, time_limit: LONG }).unwrap();
    let told = folder.path().join("told");
    for kind in [EventKind::Start, EventKind::End] {
        sink.emit(&Event::new(kind, SystemTime::UNIX_EPOCH), None).unwrap();
        while kind == EventKind::Start && !told.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    sink.finish(Instant::now() + LONG).unwrap();
    assert_eq!(fs::read_to_string(told).unwrap(), "start\nend\n");
    assert!(matches!(sink.worker.finish(Instant::now()), Finished::Before), "nothing is left");
}

#[test]
fn commands_that_hang_at_the_end_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = supervisor("trap '' TERM; sleep 600; sleep 600", folder.path(), 1);
    let queue = Queue::new(ROOM, LONG);
    let start = Instant::now();
    queue.put(start, job(EventKind::Start));
    supervisor.turn(&queue, start);
    queue.put(start, job(EventKind::End));
    queue.close(start);
    supervisor.turn(&queue, start);
    assert!(queue.is_empty(), "nothing is started any more");
    assert_eq!(supervisor.running.len(), 1);
    supervisor.turn(&queue, start + defaults::ON_EVENT_LAST_GRACE);
    until(&mut supervisor, &queue, |it| it.running.is_empty());
}

#[test]
fn commands_that_cannot_run_are_refused() {
    let parse = |line| HookSpec::parse(line, 1, LONG);
    assert!(parse("sh -c 'exit 0'").is_ok());
    for line in ["open 'quote", "", "no-such-program -x"] {
        assert!(matches!(parse(line), Err(Error::Config(_) | Error::System(_))), "{line}");
    }
}
