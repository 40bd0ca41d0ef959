//! Secrets in addresses, which nobody but their owner is shown.

/// Stands for a secret.
const MASK: &str = "***";

/// What ends an address within a text.
const ENDS: [char; 8] = ['"', '\'', '`', '<', '>', '(', ')', ','];

/// Parts of the names of a query's fields whose values are secrets.
const SECRET_FIELDS: [&str; 9] =
    ["pass", "pwd", "token", "key", "secret", "auth", "sig", "credential", "session"];

/// The text with user, password and secret fields of every address in it masked:
/// `rtsp://ann:1234@10.0.0.5/live` becomes `rtsp://***@10.0.0.5/live`.
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (scheme, address) = rest.split_at(at + 3);
        let is_end = |letter: char| letter.is_whitespace() || ENDS.contains(&letter);
        let user = end_of_user(address);
        let end = address[user..].find(is_end).map_or(address.len(), |end| user + end);
        let (address, after) = address.split_at(end);
        shown += scheme;
        shown += &masked_address(address);
        rest = after;
    }
    shown + rest
}

/// Where the user and the password of an address end, before the `@`; a password may hold anything
/// that ends an address elsewhere.
fn end_of_user(address: &str) -> usize {
    let word = address.split(char::is_whitespace).next().unwrap_or(address);
    let authority = word.split(['/', '?', '#']).next().unwrap_or(word);
    if let Some(at) = authority.rfind('@') {
        return at;
    }
    // `user:pass/word@host`, which is no host with a port.
    let port = authority.split_once(':').map(|(_, port)| port);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if port.is_some_and(|port| !is_port(port)) { word.rfind('@').unwrap_or(0) } else { 0 }
}

fn masked_address(address: &str) -> String {
    let user = end_of_user(address);
    let (before, rest) = if user > 0 { (MASK, &address[user..]) } else { ("", address) };
    let Some((path, query)) = rest.split_once('?') else { return before.to_owned() + rest };
    let fields: Vec<String> = query.split('&').map(masked_field).collect();
    format!("{before}{path}?{}", fields.join("&"))
}

fn masked_field(field: &str) -> String {
    match field.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        _ => field.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_FIELDS.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_passwords_and_secret_fields_are_masked_wherever_an_address_stands() {
        for (text, shown) in [
            ("rtsp://ann:1234@10.0.0.5:554/live", "rtsp://***@10.0.0.5:554/live"),
            ("RTSP://token@cam", "RTSP://***@cam"),
            ("http://a:b@c:d@cam/x", "http://***@cam/x"),
            ("rtsp://ann:pa/ss@cam/live", "rtsp://***@cam/live"),
            ("rtsp://ann:p?s#s@cam/live", "rtsp://***@cam/live"),
            ("rtsp://ann:p,(\"@cam/live", "rtsp://***@cam/live"),
            ("http://cam/v.cgi?user=ann&PWD=1&x=2", "http://cam/v.cgi?user=ann&PWD=***&x=2"),
            ("http://cam/?access_token=a.b-c", "http://cam/?access_token=***"),
            (
                "ffmpeg -i 'rtsp://a:b@c/d' -o \"http://e:f@g\" -",
                "ffmpeg -i 'rtsp://***@c/d' -o \"http://***@g\" -",
            ),
            ("rtsp://a:b@c: Connection refused", "rtsp://***@c: Connection refused"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is() {
        for text in [
            "",
            "C920",
            "://",
            "@",
            "rtsp://10.0.0.5:554/live@home",
            "http://[::1]:8080/x?y=1",
            "mail ann@example.org and see http://example.org/é",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
