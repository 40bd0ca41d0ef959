use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::replace::{PATIENCE, WriteStep, lock, replace};
use super::*;

const STEPS: [WriteStep; 6] = [
    WriteStep::Create,
    WriteStep::Write,
    WriteStep::Sync,
    WriteStep::Rename,
    WriteStep::SyncFolder,
    WriteStep::Done,
];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn key() -> ModelKey {
    ModelKey { fingerprint: "print".to_owned(), embedding_length: 70 }
}

fn gallery(people: usize) -> Gallery {
    let mut gallery = key().empty_gallery();
    for number in 0..people {
        let name = format!("Zoë \"{number}\"").into();
        let person = Person { name, pictures: number as u32 + 1, added_unix_s: 1_800_000_000 };
        let embedding: Vec<f32> = (0..70).map(|at| ((at * (number + 3)) % 11) as f32).collect();
        gallery.add(person, &embedding).expect("a new name");
    }
    gallery
}

fn bytes(gallery: &Gallery) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(gallery, &mut bytes).expect("memory takes everything");
    bytes
}

fn save(path: &Path, gallery: &Gallery) {
    update::<_, Error>(
        path,
        |_| Ok(key().empty_gallery()),
        |old| {
            *old = gallery.clone();
            Ok(())
        },
    )
    .expect("the gallery can be written");
}

fn refusal(path: &Path) -> String {
    let error = load(path, &key()).expect_err("it is refused");
    assert!(matches!(&error, Error::Unusable { path: named, .. } if named == path));
    error.to_string()
}

#[test]
fn what_is_written_is_read() {
    let folder = folder();
    let path = folder.path().join("new/gallery");
    assert!(load(&path, &key()).expect("nobody yet").people().is_empty());
    for people in [0, 1, 40] {
        let gallery = gallery(people);
        save(&path, &gallery);
        let read = load(&path, &key()).expect("it was written");
        assert_eq!(bytes(&read), bytes(&gallery));
        assert_eq!(read.people(), gallery.people());
    }
}

#[test]
fn a_file_cut_anywhere_or_with_any_byte_changed_is_refused() {
    let folder = folder();
    let path = folder.path().join("gallery");
    let whole = bytes(&gallery(3));
    for at in 0..whole.len() {
        fs::write(&path, &whole[..at]).expect("a file can be written");
        let message = refusal(&path);
        assert!(message.contains("cut off") || message.contains("damaged"), "{at}: {message}");
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).expect("a file can be written");
        refusal(&path);
    }
    fs::write(&path, [&whole[..], b"x"].concat()).expect("a file can be written");
    assert!(refusal(&path).contains("more in it"));
}

#[test]
fn files_that_are_no_galleries_are_refused_with_what_to_do() {
    let folder = folder();
    let path = folder.path().join("gallery");
    let cases: [(&[u8], &str); 6] = [
        (b"", "is not a gallery"),
        (b"words", "is not a gallery"),
        (b"celebcam gallery 2\n{}\n", "version 2 and this celebcam reads 1"),
        (b"celebcam gallery 1\n{\"model\":\"p\",\"embedding\":70,\"people\":999999}\n", "cut off"),
        (b"celebcam gallery 1\n{\"model\":\"p\",\"embedding\":0,\"people\":1}\n", "sizes"),
        (b"celebcam gallery 1\n[]\n", "put a copy in its place"),
    ];
    for (content, words) in cases {
        fs::write(&path, content).expect("a file can be written");
        assert!(refusal(&path).contains(words), "{}", refusal(&path));
    }
    fs::write(&path, [&b"celebcam gallery 1\n"[..], &[b'a'; 5000]].concat()).expect("written");
    assert!(refusal(&path).contains("a line has no end"));
    assert!(refusal(folder.path()).contains("it is a folder, not a file"));
}

#[test]
fn a_name_that_is_there_in_two_ways_is_no_damage_and_a_name_that_is_there_twice_is() {
    let folder = folder();
    let path = folder.path().join("gallery");
    for (names, whole) in [(["Zo\u{eb}", "Zoe\u{308}"], true), (["Ann", "Ann"], false)] {
        let mut gallery = key().empty_gallery();
        for name in names {
            let person = Person { name: name.into(), pictures: 1, added_unix_s: 0 };
            gallery.add_new(person, &[1.0]);
        }
        fs::write(&path, bytes(&gallery)).expect("a file can be written");
        match load(&path, &key()) {
            Ok(read) => assert!(whole && read.find("Zoe\u{308}") == Some(1), "{names:?}"),
            Err(error) => assert!(!whole && error.to_string().contains("Ann"), "{error}"),
        }
    }
}

#[test]
fn a_gallery_of_another_model_is_refused_unless_it_is_empty() {
    let folder = folder();
    let path = folder.path().join("gallery");
    let other = ModelKey { fingerprint: "other".to_owned(), ..key() };
    save(&path, &gallery(1));
    let message = load(&path, &other).expect_err("another model").to_string();
    assert!(message.contains("model print, and this is other"), "{message}");
    save(&path, &gallery(0));
    assert_eq!(load(&path, &other).expect("nobody is in it").model(), "other");
}

#[test]
fn at_every_step_there_is_the_old_gallery_or_the_new() {
    let (old, new) = (gallery(3), gallery(5));
    let folder = folder();
    let path = folder.path().join("gallery");
    save(&path, &old);
    let mut seen = Vec::new();
    let look = |step| {
        let people = load(&path, &key()).expect("it is whole").people().len();
        seen.push((step, people));
        Ok(())
    };
    replace(&path, |file| write(&new, file), look).expect("it can be written");
    let expected = STEPS.map(|step| (step, if step > WriteStep::Rename { 5 } else { 3 }));
    assert_eq!(seen, expected);
}

#[test]
fn a_write_that_fails_leaves_the_old_gallery_and_nothing_else() {
    let (old, new) = (gallery(3), gallery(5));
    let folder = folder();
    let path = folder.path().join("gallery");
    save(&path, &old);
    let files = || fs::read_dir(folder.path()).expect("a folder").count();
    let before = files();
    for failing in STEPS.into_iter().filter(|&step| step <= WriteStep::Rename) {
        let fail = |step| if step == failing { Err(ErrorKind::StorageFull.into()) } else { Ok(()) };
        assert!(replace(&path, |file| write(&new, file), fail).is_err());
        assert_eq!(load(&path, &key()).expect("it is whole").people().len(), 3, "{failing:?}");
        assert_eq!(files(), before, "{failing:?}");
    }
    for room in 0..bytes(&new).len() {
        let fill = |file: &mut dyn Write| {
            file.write_all(&bytes(&new)[..room])?;
            Err(ErrorKind::StorageFull.into())
        };
        assert!(replace(&path, fill, |_| Ok(())).is_err());
        assert_eq!(fs::read(&path).expect("the old one"), bytes(&old), "{room}");
    }
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next() {
    let folder = folder();
    let path = folder.path().join("gallery");
    fs::write(folder.path().join(".gallery.new-17"), "half").expect("a file can be written");
    fs::write(folder.path().join("gallery-of-a-friend"), "").expect("a file can be written");
    save(&path, &gallery(1));
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    names.sort();
    assert_eq!(names, [".gallery.lock", "gallery", "gallery-of-a-friend"]);
}

#[test]
fn of_two_changes_at_once_none_is_lost() {
    let folder = folder();
    let path = folder.path().join("gallery");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for number in 0..10 {
                    let name = format!("{thread} {number}").into();
                    let person = Person { name, pictures: 1, added_unix_s: 0 };
                    update(path, |path| load(path, &key()), |gallery| gallery.add(person, &[1.0]))
                        .expect("the gallery can be changed");
                }
            });
        }
    });
    assert_eq!(load(&path, &key()).expect("it is whole").people().len(), 40);
}

#[test]
fn nothing_is_written_when_the_change_is_refused() {
    let folder = folder();
    let path = folder.path().join("gallery");
    let refused = update(&path, |path| load(path, &key()), |_| Err::<(), _>(Error::Full));
    assert!(refused.is_err() && !path.exists());
    drop(lock(&path, PATIENCE).expect("nobody holds it"));
}

#[test]
fn a_lock_that_is_held_is_waited_for_and_then_told() {
    let folder = folder();
    let path = folder.path().join("gallery");
    let held = lock(&path, PATIENCE).expect("nobody holds it");
    let error = lock(&path, Duration::from_millis(50)).expect_err("it is held").to_string();
    assert!(error.contains(".gallery.lock for 0.05 seconds"), "{error}");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| lock(&path, PATIENCE).is_ok());
        drop(held);
        assert!(waits.join().expect("no panic"));
    });
}

#[test]
fn a_lock_in_whose_place_is_something_else_is_refused() {
    let folder = folder();
    let path = folder.path().join("gallery");
    let (place, made) = (folder.path().join(".gallery.lock"), folder.path().join("made"));
    std::os::unix::fs::symlink(&made, &place).expect("a link can be made");
    let error = lock(&path, PATIENCE).expect_err("a link").to_string();
    assert!(error.contains(".gallery.lock is not a file"), "{error}");
    assert!(!made.exists(), "the link was not followed");
    fs::remove_file(&place).expect("the link is there");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &place, mode).expect("a pipe can be made");
    assert!(lock(&path, PATIENCE).is_err());
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).expect("a pipe can be made");
    let error = read(&path).expect_err("a pipe").to_string();
    assert!(error.contains("it is a pipe, not a file"), "{error}");
}

#[test]
fn a_link_to_a_gallery_stays_a_link() {
    let folder = folder();
    let (path, link) = (folder.path().join("gallery"), folder.path().join("link"));
    save(&path, &gallery(1));
    std::os::unix::fs::symlink(&path, &link).expect("a link can be made");
    save(&link, &gallery(2));
    assert!(link.is_symlink());
    assert_eq!(load(&path, &key()).expect("it is whole").people().len(), 2);
}
