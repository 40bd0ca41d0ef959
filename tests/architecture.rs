//! The map of the source: which room uses which, and which dependency it may know.
//!
//! `docs/ARCHITECTURE.md` holds the map as a table of rooms, lowest first. `cargo test --test
//! architecture -- --nocapture` prints it as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, each with those that it imports.
type Map = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Path below `folder` and text of every source in it.
fn texts(folder: &str) -> Vec<(String, String)> {
    let folder = root().join(folder);
    let mut files = Vec::new();
    sources(&folder, &mut files);
    assert!(files.len() > 20, "the sources are there");
    let name = |file: &Path| file.strip_prefix(&folder).expect("below it").display().to_string();
    let text = |file: &Path| fs::read_to_string(file).expect("the source can be read");
    files.iter().map(|file| (name(file), text(file))).collect()
}

/// The code of a source at work: without comments and unit tests.
fn code(name: &str, text: &str) -> String {
    if name.ends_with("tests.rs") || name.contains("/tests/") {
        return String::new();
    }
    let lines = text.lines().take_while(|line| !line.ends_with("mod tests {"));
    lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The room that a source lies in: `sink` for `sink.rs` and for all in `sink/`.
fn room(name: &str) -> &str {
    let end = name.find(['/', '.']).unwrap_or(name.len());
    &name[..end]
}

/// The first names of the paths that `use` statements and expressions of a source take from `krate`.
fn imported(code: &str, krate: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (place, _) in code.match_indices(&format!("{krate}::")) {
        let before = code[..place].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || "_:".contains(before)) {
            continue;
        }
        names.extend(first_names(&code[place + krate.len() + 2..]));
    }
    names
}

/// `a` of `a::b`, and `a` and `b` of `{a::{x, y}, b}`.
fn first_names(path: &str) -> Vec<String> {
    let word = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut names, mut depth) = (vec![word(group)], 0_i32);
    for (place, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(word(&group[place + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Which room imports which.
fn map(sources: &[(String, String)]) -> Map {
    let mut map = Map::new();
    for (name, text) in sources {
        let own = room(name);
        if own == "lib" {
            continue;
        }
        let code = code(name, text);
        let mut names = imported(&code, "crate");
        if own == "main" {
            names = imported(&code, "celebcam");
        }
        if code.contains("celebcam_engine") {
            names.insert("engine".to_owned());
        }
        names.remove(own);
        map.entry(own.to_owned()).or_default().extend(names);
    }
    map
}

/// What is wrong with a map whose rooms should lie in this order, lowest first.
fn faults(map: &Map, order: &[&str]) -> Vec<String> {
    let place = |room: &str| order.iter().position(|&other| other == room);
    let mut faults = Vec::new();
    for (room, imports) in map {
        let Some(own) = place(room) else {
            faults.push(format!("{room} is not in the table"));
            continue;
        };
        for import in imports.iter().filter(|import| map.contains_key(*import)) {
            if place(import).is_none_or(|other| other >= own) {
                faults.push(format!("{room} imports {import}, which does not lie below it"));
            }
        }
    }
    faults
}

/// The names in a cell of a table, without their quotes.
fn names(cell: &str) -> Vec<String> {
    cell.split_whitespace().map(|word| word.trim_matches('`').to_owned()).collect()
}

/// Rooms and what they use as the table in the document says.
fn table(document: &str) -> Vec<(String, BTreeSet<String>)> {
    let rows = document.lines().skip_while(|line| !line.starts_with("| room "));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| {
            (names(cells[0]).pop().unwrap_or_default(), names(cells[2]).into_iter().collect())
        })
        .collect()
}

#[test]
fn every_import_goes_downwards_and_the_map_in_the_documents_is_true() {
    let map = map(&texts("src"));
    let document = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("it is there");
    let table = table(&document);
    let order: Vec<&str> = table.iter().map(|(room, _)| &**room).collect();
    for room in &order {
        let imports = map.get(*room).map(|imports| imports.iter().map(String::as_str));
        let imports: Vec<&str> = imports.into_iter().flatten().collect();
        println!("{room:10} {}", imports.join(" "));
    }
    assert_eq!(faults(&map, &order), [""; 0]);
    for (room, said) in &table {
        let found = map.get(room).cloned().unwrap_or_default();
        assert_eq!(&found, said, "what {room} uses: docs/ARCHITECTURE.md says the right hand side");
    }
}

#[test]
fn an_import_that_goes_upwards_is_found() {
    let source = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let mut sources = vec![
        source("types/face.rs", "// use crate::sink;\npub struct Face;"),
        source("sink.rs", "use crate::types::face::Face;"),
        source("main.rs", "use celebcam::{sink, types};"),
    ];
    let order = ["types", "sink", "main"];
    assert_eq!(faults(&map(&sources), &order), [""; 0]);
    for planted in [
        "use crate::sink::EventSink;",
        "use crate::{\n    types::{self, face},\n    sink::{json, text},\n};",
        "fn f() { crate::sink::close() }",
        "pub(crate) use crate::sink as out;",
    ] {
        sources[0].1 = planted.to_owned();
        assert_eq!(
            faults(&map(&sources), &order),
            ["types imports sink, which does not lie below it"],
            "{planted}"
        );
    }
    sources[0] = source("camera.rs", "");
    assert_eq!(faults(&map(&sources), &order), ["camera is not in the table"]);
}

/// The rooms that import one another in a ring, and those above them. A room that nothing is left below
/// is taken off, again and again; what can never be taken off goes round.
fn ring(mut map: Map) -> Map {
    let is_free = |(_, imports): &(&String, &BTreeSet<String>), map: &Map| {
        !imports.iter().any(|import| map.contains_key(import))
    };
    while let Some(free) = map.iter().find(|room| is_free(room, &map)).map(|(room, _)| room.clone())
    {
        map.remove(&free);
    }
    map
}

#[test]
fn the_engine_has_no_ring() {
    let mut map = map(&texts("engine/src"));
    for (room, imports) in &map {
        println!("{room:10} {}", imports.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(ring(map.clone()), Map::new());
    let (low, high) = map
        .iter()
        .find_map(|(room, imports)| Some((imports.first()?.clone(), room.clone())))
        .expect("one room imports another");
    map.entry(low).or_default().insert(high);
    assert_ne!(ring(map), Map::new(), "a ring that is planted is found");
}

/// Every place in `src` and the engine whose code, comments left out, holds `word`, but for those in files
/// whose path starts with one of `allowed`.
fn uses(word: &str, allowed: &[&str]) -> Vec<String> {
    places(word, allowed, |_, text| text.to_owned())
}

/// [`uses`] without those in unit tests.
fn uses_at_work(word: &str, allowed: &[&str]) -> Vec<String> {
    places(word, allowed, code)
}

fn places(word: &str, allowed: &[&str], part: impl Fn(&str, &str) -> String) -> Vec<String> {
    let mut places = Vec::new();
    for folder in ["src", "engine/src"] {
        for (name, text) in texts(folder) {
            let name = format!("{folder}/{name}");
            if allowed.iter().any(|allowed| name.starts_with(allowed)) {
                continue;
            }
            for (number, line) in part(&name, &text).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if code.contains(word) {
                    places.push(format!("{name}:{}: {line}", number + 1));
                }
            }
        }
    }
    places
}

#[test]
fn only_the_engine_knows_tract() {
    assert_eq!(uses("tract_onnx", &["engine/src/"]), [""; 0]);
    assert!(!uses("tract_onnx", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn only_the_camera_knows_nokhwa() {
    assert_eq!(uses("nokhwa", &["src/source/camera.rs"]), [""; 0]);
    assert!(!uses("nokhwa", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn unsafe_code_stays_in_the_kernels_the_memory_behind_them_and_the_heap() {
    let allowed = [
        "engine/src/arena.rs",
        "engine/src/buffer.rs",
        "engine/src/kernels",
        "engine/src/ops/context.rs",
        "engine/src/pool.rs",
        "src/system/heap.rs",
    ];
    assert_eq!(uses("unsafe ", &allowed), [""; 0]);
    assert!(!uses("unsafe ", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn lines_for_people_are_written_in_one_way() {
    assert_eq!(uses_at_work("print!(", &[]), [""; 0]);
    assert_eq!(uses_at_work("println!", &[]), [""; 0]);
}

#[test]
fn programs_are_started_in_one_place() {
    assert_eq!(uses_at_work(".spawn()", &["src/system/process"]), [""; 0]);
    assert!(!uses(".spawn()", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn files_are_made_in_one_place() {
    for word in ["fs::write(", "File::create(", "create_dir", "OpenOptions"] {
        assert_eq!(
            uses_at_work(
                word,
                &["src/system/bounded.rs", "src/system/files.rs", "src/gallery/store/replace.rs"]
            ),
            [""; 0]
        );
    }
    assert!(!uses_at_work("OpenOptions", &[]).is_empty(), "the search finds what is there");
}

#[test]
fn only_the_door_knows_decoders() {
    let tests = ["src/picture/tests.rs", "src/picture/jpeg/tests.rs"];
    for decoder in ["zune_jpeg", "use png::", "WebPDecoder", "BmpDecoder", "ImageReader"] {
        let inside =
            [&["src/picture/jpeg.rs", "src/picture/png.rs", "src/picture/whole.rs"][..], &tests]
                .concat();
        assert_eq!(uses(decoder, &inside), [""; 0]);
    }
    assert!(!uses("zune_jpeg", &[]).is_empty(), "the search finds what is there");
}
