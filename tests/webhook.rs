//! The recipe of the README that tells a server of events, against a server of this machine.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use common::runs::{Film, NEVER_ABSENT};
use common::{celebcam, skipped};

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

/// Answers `requests` with `status`; gives their first lines, content types and bodies.
fn serve(listener: TcpListener, requests: usize, status: &str) -> Vec<(String, String, String)> {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let mut served = Vec::new();
    for stream in listener.incoming().take(requests) {
        let mut stream = BufReader::new(stream.expect("a connection"));
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
        stream.get_mut().write_all(answer.as_bytes()).expect("an answer");
        let body = String::from_utf8(body).expect("it is text");
        served.push((head[0].clone(), field("content-type"), body));
    }
    served
}

#[test]
fn a_server_is_told_of_each_event_as_json() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("no curl");
    }
    let Some(film) = Film::of_person(4) else { return };
    for status in ["204 No Content", "500 Internal Server Error"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = format!("http://{}", listener.local_addr().expect("an address"));
        let command = recipe().replace(SERVER, &here);
        let server = std::thread::spawn(move || serve(listener, 2, status));
        let output = celebcam()
            .args(["run", "--format", "json", "--on-event", &command])
            .args(NEVER_ABSENT)
            .arg("--pictures")
            .arg(&film.pictures)
            .output()
            .expect("celebcam runs");
        assert_eq!(output.status.code(), Some(0));
        let served = server.join().expect("the server works");
        let mut told: Vec<&str> = served.iter().map(|(_, _, body)| body.as_str()).collect();
        told.sort_by_key(|body| body.contains("\"end\""));
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told, printed.lines().collect::<Vec<_>>());
        for (request, content_type, _) in &served {
            assert!(request.starts_with("POST /visits HTTP/"), "{request}");
            assert_eq!(content_type, "application/json");
        }
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(log.contains("--on-event: curl ended with"), status.starts_with('5'), "{log}");
    }
}
