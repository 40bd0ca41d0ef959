//! The recipe of the README that tells a server of events, against a server of this machine.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::runs::{Events, Film, STOP_WITHIN, ends_within, signal};
use common::{celebcam, emulator, skipped};
use rustix::process::Signal;

/// Longest wait for a request. The machine may have other work.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server that the recipe names.
const SERVER: &str = "http://10.0.0.9:8080";

/// The command of the recipe.
fn recipe() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("the README can be read");
    let line = readme.lines().find(|line| line.contains("--on-event 'curl ")).expect("a recipe");
    let words = shlex::split(line).expect("it is a command line");
    let at = words.iter().position(|word| word == "--on-event").expect("it has the flag");
    assert!(words[at + 1].contains(SERVER), "{line}");
    words[at + 1].clone()
}

/// First line, content type and body of a request.
struct Request {
    line: String,
    content_type: String,
    body: String,
}

/// Answers a request with `status`.
fn serve(stream: TcpStream, status: &str) -> Request {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let field = |name: &str| {
        let value = |line: &String| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        head.iter().find_map(value).unwrap_or_default()
    };
    let mut body = vec![0; field("content-length").parse().expect("a length")];
    stream.read_exact(&mut body).expect("a body");
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.get_mut().write_all(answer.as_bytes()).expect("an answer");
    let body = String::from_utf8(body).expect("it is text");
    Request { line: head[0].clone(), content_type: field("content-type"), body }
}

#[test]
fn a_server_is_told_of_each_event_as_json() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("no curl");
    }
    let Some(film) = Film::of_visits(1) else { return };
    for status in ["204 No Content", "500 Internal Server Error"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let request = serve(stream.expect("a connection"), status);
                if sender.send(request).is_err() {
                    break;
                }
            }
        });
        let mut child = celebcam()
            .args(["run", "--format", "json", "--on-event", &recipe().replace(SERVER, &here)])
            .args(["--confirm", "1", "--absence", "0", "--repeat", "--fps", "5", "--pictures"])
            .arg(&film.pictures)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("celebcam starts");
        let events = Events::of(&mut child);
        // More than there are commands at once, so one has ended and its end was seen.
        let served: Vec<Request> =
            (0..6).map(|_| requests.recv_timeout(PATIENCE).expect("a request")).collect();
        signal(&child, Signal::TERM);
        assert_eq!(ends_within(&mut child, STOP_WITHIN).code(), Some(0));
        let told = String::from_utf8(events.read_all()).expect("it is text");
        for Request { line, content_type, body } in &served {
            assert!(line.starts_with("POST /visits HTTP/"), "{line}");
            assert_eq!(content_type, "application/json");
            assert!(told.lines().any(|event| event == body), "{told:?} lacks {body}");
        }
        for kind in ["\"start\"", "\"end\""] {
            assert!(served.iter().any(|request| request.body.contains(kind)), "{told}");
        }
        let log = std::io::read_to_string(child.stderr.take().expect("it is piped"));
        let log = log.expect("standard error can be read");
        assert_eq!(log.contains("--on-event: curl ended with"), status.starts_with('5'), "{log}");
        if emulator().is_some() {
            // What a server answers has nothing to do with the processor.
            break;
        }
    }
}
