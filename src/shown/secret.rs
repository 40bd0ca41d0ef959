//! Secrets in command lines and addresses.

use std::path::Path;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Fewest characters of a secret that is looked for in other text.
const SHORTEST: usize = 4;

/// Parts of a key whose value is a secret, wherever they stand in it.
const SECRET_PARTS: [&str; 11] = [
    "bearer",
    "passw",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "pwd",
    "psw",
    "apikey",
    "authorization",
];

/// Words of a key whose value is a secret.
const SECRET_WORDS: [&str; 10] =
    ["pass", "pas", "pw", "key", "auth", "sig", "signature", "session", "cookie", "jwt"];

/// The text with `***` for every secret that its form gives away: user and password of an address, the
/// value of a key such as `password=` or `Authorization:`, and of an option such as `-u user:password`;
/// and where such a secret stands once more.
pub fn masked(text: &str) -> String {
    let mut masker = Masker::default();
    let masked = masker.mask(text);
    Secrets::new(masker.found).cut(&masked)
}

/// The secrets in a command line, which its program may tell in any form.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Those that [`masked`] masks in the line `argv`.
    pub fn of(argv: &[String]) -> Self {
        let mut masker = Masker::default();
        // As one line, for what stands behind an option, and one by one, for what holds blanks.
        let quoted = argv.iter().map(|word| shlex::try_quote(word).unwrap_or_default());
        masker.mask(&quoted.collect::<Vec<_>>().join(" "));
        for word in argv {
            masker.mask(word);
        }
        Self::new(masker.found)
    }

    fn new(mut found: Vec<String>) -> Self {
        let words = found.iter().filter_map(|login| Some(login.split_once(':')?.1.to_owned()));
        let words: Vec<String> = words.collect();
        found.extend(words);
        found.retain(|secret| secret.chars().count() >= SHORTEST && secret != MASK);
        // The longer first: a part of one may be another.
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(found)
    }

    /// The text without them.
    pub fn cut(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

/// Masks a text and keeps what it has masked.
#[derive(Default)]
struct Masker {
    found: Vec<String>,
}

/// A short name without secrets for a program and its arguments: the program, and the first address
/// among the arguments, without its query.
pub fn program_name(argv: &[String]) -> String {
    let program = argv.first().map_or("", String::as_str);
    let program = Path::new(program).file_name().map_or(program.into(), |it| it.to_string_lossy());
    let address = argv.iter().skip(1).find_map(|argument| {
        let masked = masked(argument);
        let start = scheme_start(&masked, masked.find("://")?);
        let address = &masked[start..];
        let end = address.find(|letter| ends_word(letter) || matches!(letter, '?' | '#'));
        Some(address[..end.unwrap_or(address.len())].to_owned())
    });
    match address {
        Some(address) => format!("{program} {address}"),
        None => program.into_owned(),
    }
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '`')
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || is_quote(letter)
}

/// Where the scheme before the `://` at `colon` starts.
fn scheme_start(text: &str, colon: usize) -> usize {
    let of_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    text[..colon].trim_end_matches(of_scheme).len()
}

impl Masker {
    fn mask(&mut self, text: &str) -> String {
        let text = self.mask_encoded(text);
        let text = self.mask_addresses(&text);
        let text = self.mask_values(&text);
        self.mask_options(&text)
    }

    /// The mask for a secret.
    fn note(&mut self, secret: &str) -> &'static str {
        self.found.push(secret.to_owned());
        MASK
    }

    /// `rtsp%3A%2F%2Fadmin%3Aword%40host` becomes `rtsp%3A%2F%2F***%40host`.
    fn mask_encoded(&mut self, text: &str) -> String {
        const START: &str = "%3a%2f%2f";
        let lower = text.to_ascii_lowercase();
        let (mut masked, mut done) = (String::with_capacity(text.len()), 0);
        while let Some(at) = lower[done..].find(START) {
            let start = done + at + START.len();
            let ends = |letter: char| ends_word(letter) || letter == '&';
            let end = lower[start..].find(ends).map_or(text.len(), |end| start + end);
            let user = lower[start..end].rfind("%40").unwrap_or(0);
            masked.push_str(&text[done..start]);
            if user > 0 {
                masked.push_str(self.note(&text[start..start + user]));
            }
            done = start + user;
        }
        masked + &text[done..]
    }

    /// `rtsp://admin:word@host/` becomes `rtsp://***@host/`, `admin:word@host` becomes `***@host`.
    fn mask_addresses(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        for word in text.split_inclusive(char::is_whitespace) {
            let mut rest = word;
            while let Some(colon) = rest.find("://") {
                let (scheme, address) = rest.split_at(colon + 3);
                let next = address.find("://").map(|it| scheme_start(address, it));
                let (address, after) = address.split_at(next.unwrap_or(address.len()));
                let user = user_of(address);
                masked.push_str(scheme);
                if holds_password(user) {
                    masked.push_str(self.note(user));
                } else if !user.is_empty() {
                    masked.push_str(MASK);
                }
                masked.push_str(&address[user.len()..]);
                rest = after;
            }
            let bare = rest.trim_start_matches(is_quote);
            // The value of `--camera=admin:word@host`.
            let option = bare.strip_prefix("--").and_then(|option| option.split_once('='));
            let bare = option.map_or(bare, |(_, value)| value.trim_start_matches(is_quote));
            match bare.rsplit_once('@') {
                Some((user, host)) if holds_password(user) => {
                    masked.push_str(&rest[..rest.len() - bare.len()]);
                    masked.push_str(self.note(user));
                    masked.push_str(&format!("@{host}"));
                }
                _ => masked.push_str(rest),
            }
        }
        masked
    }

    /// Masks the values of `key=value` and `Key: value`.
    fn mask_values(&mut self, text: &str) -> String {
        let of_key = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['=', ':']) {
            let (head, tail) = rest.split_at(at + 1);
            masked.push_str(head);
            let before = head[..at].trim_end_matches(['"', '\\', ' ']);
            let key = &before[before.trim_end_matches(of_key).len()..];
            let value = if head.ends_with(':') {
                let is_of_json = head[..at].trim_end_matches(' ').ends_with('"');
                let is_header = !tail.starts_with("//")
                    && (is_secret_header(key) || is_of_json && is_secret(key));
                let ends = |letter: char| is_quote(letter) || matches!(letter, '\r' | '\n');
                is_header.then(|| value_of(tail, ends))
            } else {
                let ends = |letter: char| ends_word(letter) || letter == '&';
                is_secret(key).then(|| value_of(tail, ends))
            };
            let (start, end) = value.unwrap_or_default();
            // What is masked already, and what follows it.
            let end = if tail[start..].starts_with(MASK) { start } else { end };
            masked.push_str(&tail[..start]);
            if start < end {
                masked.push_str(self.note(&tail[start..end]));
            }
            rest = &tail[end..];
        }
        masked + rest
    }

    /// Masks what stands behind the options that take secrets.
    fn mask_options(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut takes = Takes::Nothing;
        for word in words(text) {
            let bare = word.trim_end();
            let inner = bare.trim_matches(is_quote);
            let is_secret = match takes {
                Takes::Nothing => false,
                Takes::Login => holds_password(inner),
                Takes::SecretOrPort => inner.parse::<u16>().is_err(),
                Takes::Secret => true,
            };
            takes = Takes::of(inner);
            let secret = if is_secret { Some(inner) } else { attached_login(inner) };
            if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
                masked.push_str(&word.replacen(secret, self.note(secret), 1));
            } else if inner.len() < bare.len() && inner.contains(char::is_whitespace) {
                masked.push_str(&word.replacen(inner, &self.mask_options(inner), 1));
            } else {
                masked.push_str(word);
            }
        }
        masked
    }
}

/// Whether this is a user, a colon and a password.
fn holds_password(text: &str) -> bool {
    text.split_once(':').is_some_and(|(user, word)| !user.is_empty() && !word.is_empty())
}

/// What an address, given without its scheme, says of the user.
fn user_of(address: &str) -> &str {
    let host = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
    let end = host.rfind('@').unwrap_or(0);
    // A password may hold what ends the name of a host. A path such as `/@user` and a query do not count.
    let beyond = address.rfind('@').filter(|&at| {
        let behind = address.get(host.len()..at).unwrap_or("");
        let is_no_host = end == 0 && !has_port(host);
        holds_password(&address[..at])
            && (is_no_host || !behind.ends_with('/') && !behind.contains('='))
    });
    &address[..beyond.unwrap_or(end)]
}

/// Whether nothing or a number stands behind the last colon.
fn has_port(host: &str) -> bool {
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    host.ends_with(']') || port.chars().all(|digit| digit.is_ascii_digit())
}

/// Whether the value of a key or an option is a secret.
fn is_secret(key: &str) -> bool {
    const ENDS: [&str; 4] = ["pass", "pas", "pw", "key"];
    let key = key.to_ascii_lowercase();
    let mut words = key.split(|letter: char| !letter.is_ascii_alphanumeric());
    SECRET_PARTS.iter().any(|part| key.contains(part))
        || words
            .any(|word| SECRET_WORDS.contains(&word) || ENDS.iter().any(|end| word.ends_with(end)))
}

/// Whether what follows such a word and a colon is a secret.
fn is_secret_header(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| key.contains(part))
        || ["cookie", "-key", "_key", "auth", "signature"].iter().any(|end| key.ends_with(end))
}

/// Where the value at the start of `text` starts and ends, which may be quoted and otherwise ends as
/// `ends` says.
fn value_of(text: &str, ends: impl Fn(char) -> bool) -> (usize, usize) {
    let start = text.len() - text.trim_start_matches([' ', '\\']).len();
    let value = &text[start..];
    let quote = value.chars().next().filter(|&letter| is_quote(letter));
    match quote.and_then(|quote| value[1..].find(quote)) {
        // The quote at the end may have a backslash of its own.
        Some(length) => (start + 1, start + 1 + value[1..=length].trim_end_matches('\\').len()),
        None => (start, start + value.find(ends).unwrap_or(value.len())),
    }
}

/// The words of a command line, each with the blanks behind it. A quote at the start of a word, or within
/// an option, holds it together.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let opening = rest.find(ends_word).filter(|&at| at == 0 || first == '-');
        let quoted = opening.and_then(|at| {
            let quote = rest[at..].chars().next().filter(|&letter| is_quote(letter))?;
            Some(at + 2 + rest[at + 1..].find(quote)?)
        });
        let quoted = quoted.unwrap_or(0);
        let end = rest[quoted..].find(char::is_whitespace).map_or(rest.len(), |end| quoted + end);
        let blanks = rest[end..].len() - rest[end..].trim_start().len();
        let (word, after) = rest.split_at(end + blanks);
        words.push(word);
        rest = after;
    }
    words
}

/// What the word after an option is.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    /// A user, with a password or without.
    Login,
    Secret,
    /// A number is a port.
    SecretOrPort,
}

impl Takes {
    fn of(word: &str) -> Self {
        let Some(name) = word.strip_prefix('-').map(|name| name.trim_start_matches('-')) else {
            return Self::Nothing;
        };
        match name {
            _ if name.contains('=') => Self::Nothing,
            "u" | "U" | "user" | "proxy-user" | "E" | "cert" | "proxy-cert" => Self::Login,
            _ if is_bundle(word) && name.ends_with(['u', 'U']) => Self::Login,
            "P" => Self::SecretOrPort,
            _ if is_secret(name) => Self::Secret,
            _ => Self::Nothing,
        }
    }
}

/// Whether these are several options in one word, as in `curl -fsSu user:password`.
fn is_bundle(word: &str) -> bool {
    const MOST: usize = 8;
    let options = word.trim_start_matches('-');
    word.len() == options.len() + 1
        && options.len() <= MOST
        && options.bytes().all(|letter| letter.is_ascii_alphabetic())
}

/// The user and password in `-uuser:password` and `--user=user:password`.
fn attached_login(word: &str) -> Option<&str> {
    let options = ["--user=", "--proxy-user=", "-u", "-U"];
    let login = options.iter().find_map(|option| word.strip_prefix(option))?;
    let login = login.trim_start_matches(is_quote);
    (!login.starts_with('-') && holds_password(login)).then_some(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_user_and_password() {
        for (text, expected) in [
            ("rtsp://admin:S3cret@10.0.0.5/stream1", "rtsp://***@10.0.0.5/stream1"),
            ("x RTSP://admin@host:554/a, b", "x RTSP://***@host:554/a, b"),
            ("rtsp://a:p@ss@[fe80::1]:554/x", "rtsp://***@[fe80::1]:554/x"),
            ("rtsp://a:p/a?s#s@host/x", "rtsp://***@host/x"),
            ("'http://a:b@h/1' `https://c:d@h/2`", "'http://***@h/1' `https://***@h/2`"),
            ("location=rtsp://a:b@h/1?x=1", "location=rtsp://***@h/1?x=1"),
            ("http://h/a?user=u&pwd=S3cret&x=1", "http://h/a?user=u&pwd=***&x=1"),
            ("http://h/user=a&password=S3cret_c=1.sdp", "http://h/user=a&password=***"),
            ("http://h:80/@user/x http://[::1]:80/a", "http://h:80/@user/x http://[::1]:80/a"),
            ("'admin:S3cret@cam/x' ann@example.org", "'***@cam/x' ann@example.org"),
            ("\"rtsp://a:b'c\\d@h/1\"", "\"rtsp://***@h/1\""),
            ("http://h/1,http://a:b@h/2", "http://h/1,http://***@h/2"),
            ("rtsp://***@host/x", "rtsp://***@host/x"),
            ("rtsp://admin:12345#@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
            ("rtsp://admin:2024/x@10.0.0.5:554/s", "rtsp://***@10.0.0.5:554/s"),
            ("rtsp://admin:p@ss/w0rd@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
            ("http://h:80/a?mail=b@c http://h/x@2.jpg", "http://h:80/a?mail=b@c http://h/x@2.jpg"),
            (
                "http://h/p?src=rtsp%3A%2F%2Fann%3AS3%40h&x=1",
                "http://h/p?src=rtsp%3A%2F%2F***%40h&x=1",
            ),
            ("--camera=ann:S3cret@10.0.0.5/x", "--camera=***@10.0.0.5/x"),
            ("http://h/x?pwd=***: it ended", "http://h/x?pwd=***: it ended"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn options_and_headers_lose_their_values() {
        for (text, expected) in [
            ("curl -u user:s3cret http://h", "curl -u *** http://h"),
            ("curl -u 'user:my s3cret' x", "curl -u '***' x"),
            ("curl -uuser:s3cret x --user=a:b", "curl -u*** x --user=***"),
            ("wget --user ann --password 1234 x", "wget --user ann --password *** x"),
            ("wget --http-password=s3cret x", "wget --http-password=*** x"),
            ("gst user-pw=s3cret ! x password='a b'", "gst user-pw=*** ! x password='***'"),
            ("mosquitto_pub -u ann -P s3cret -p 1883", "mosquitto_pub -u ann -P *** -p 1883"),
            ("sh -c 'curl -u a:b http://h' x", "sh -c 'curl -u *** http://h' x"),
            ("curl -H 'Authorization: Basic abc=' x", "curl -H 'Authorization: ***' x"),
            ("-d '{\"token\": \"s3cret\", \"a\": 1}'", "-d '{\"token\": \"***\", \"a\": 1}'"),
            ("command = \"curl -u a:b h\"", "command = \"curl -u *** h\""),
            ("sh -c 'echo ann:s3cret, s3cret' -u ann:s3cret", "sh -c 'echo ***, ***' -u ***"),
            ("python -u cam.py, it isn't -u a:b", "python -u cam.py, it isn't -u ***"),
            ("curl -fsSu ann:S3cret http://h", "curl -fsSu *** http://h"),
            ("curl -u\"ann:my S3\" --user=\"ann:my S3\" h", "curl -u\"***\" --user=\"***\" h"),
            ("curl -E cert.pem:S3 --oauth2-bearer S3 h", "curl -E *** --oauth2-bearer *** h"),
            ("mosquitto_pub -P 12345678 -p 1883", "mosquitto_pub -P *** -p 1883"),
            ("{\"pass\": \"S3\", \"auth\":\"S4\"}", "{\"pass\": \"***\", \"auth\":\"***\"}"),
            ("-d \"{\\\"token\\\":\\\"S3\\\"}\"", "-d \"{\\\"token\\\":\\\"***\\\"}\""),
            ("password = \"S3\", X-Auth: S3", "password = \"***\", X-Auth: ***"),
        ] {
            assert_eq!(masked(text), expected);
            assert_eq!(masked(expected), expected, "once is enough");
        }
    }

    #[test]
    fn what_a_program_says_of_its_own_secrets_is_cut() {
        let line = "cam -u 'ann:s3cret' rtsp://a:S3cret@h/1 -P 'my word' -i x:y1@h -p 554";
        let secrets = Secrets::of(&shlex::split(line).unwrap());
        let said = "no s3cret, ann:s3cret, S3cret or my word at 554 for ann, y1";
        assert_eq!(secrets.cut(said), "no ***, ***, *** or *** at 554 for ann, y1");
        assert_eq!(Secrets::of(&[]).cut(said), said);
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in [
            "2026-11-24T10:15:30.123Z  Tom Hanks is here (97 %)",
            "photos/a.jpg: face 1 of 2: unknown (nearest Keanu Reeves 0 %), box 905,72 127x127",
            "rpicam-vid -t 0 --width 640 --codec mjpeg -o -",
            "settings /etc/celebcam/celebcam.toml: line 2: no such key: it's `fps`",
            "",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn programs_have_short_names_without_secrets() {
        for (line, name) in [
            ("rpicam-vid -t 0 --codec mjpeg -o -", "rpicam-vid"),
            (
                "./cam.sh -i rtsp://a:S3cret@10.0.0.5/1?k=v -f mjpeg -",
                "cam.sh rtsp://***@10.0.0.5/1",
            ),
            ("/usr/bin/curl -u user:S3cret http://cam/stream", "curl http://cam/stream"),
            ("sh -c 'ffmpeg -i \"rtsp://a:b@h/1\" -f mjpeg -'", "sh rtsp://***@h/1"),
            ("ffmpeg -i rtsp://a:b?c@h/1", "ffmpeg rtsp://***@h/1"),
        ] {
            assert_eq!(program_name(&shlex::split(line).unwrap()), name);
        }
    }
}
