use std::collections::HashMap;
use std::fs;

use super::*;
use crate::cli::{Command as Subcommand, NEEDS, RunArgs};
use crate::defaults;
use crate::recognize::Demand;
use crate::source::Time;

/// A user with environment variables and a settings file.
struct User {
    variables: HashMap<String, String>,
    folder: tempfile::TempDir,
}

impl User {
    fn new(file: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, file).unwrap();
        let mut variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        variables.insert("CELEBCAM_CONFIG".to_owned(), path.display().to_string());
        Self { variables, folder }
    }

    fn parse(&self, line: &str) -> Result<(Cli, Said), ParseFailure> {
        let args: Vec<OsString> =
            format!("celebcam {line}").split_whitespace().map(OsString::from).collect();
        parse(&args, &|name| self.variables.get(name).map(OsString::from))
    }

    fn run(&self, line: &str) -> RunArgs {
        match self.parse(&format!("run {line}")).unwrap().0.command {
            Subcommand::Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    /// What a command goes by.
    fn config(&self, line: &str) -> Result<Config> {
        let (cli, said) = self.parse(line).unwrap();
        let environment = |name: &str| self.variables.get(name).map(OsString::from);
        Config::new(cli, said, vec!["CELEBCAM_X".to_owned()], &environment)
    }

    fn setting(&self, line: &str, key: &str) -> Setting {
        let (_, said) = self.parse(line).unwrap();
        said.settings.into_iter().find(|setting| setting.key == key).unwrap()
    }

    fn refusal(&self, line: &str) -> String {
        match self.parse(line) {
            Err(ParseFailure::Settings(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn flags_come_before_the_environment_before_the_file_before_defaults() {
    let file = "absence = 7\nconfirm = 3\nthreads = 2";
    let user = User::new(file, &[("CELEBCAM_CONFIRM", "4"), ("CELEBCAM_THREADS", "3")]);
    let args = user.run("--threads 4");
    assert_eq!((args.absence, args.confirm, args.threads), (7.0, 4, 4));
    let path = user.folder.path().join("c.toml");
    let expected = [
        ("absence", "7", Origin::File(path)),
        ("confirm", "4", Origin::Environment("CELEBCAM_CONFIRM".into())),
        ("threads", "4", Origin::Flag),
        ("format", "text", Origin::Default),
    ];
    for (key, value, origin) in expected {
        let setting = user.setting("config --threads 4", key);
        assert_eq!((setting.values, setting.origin), (vec![value.to_owned()], origin), "{key}");
    }
}

#[test]
fn every_flag_of_run_is_a_setting() {
    let run = Cli::command().find_subcommand("run").cloned().unwrap();
    for arg in run.get_arguments().filter(|arg| !arg.is_global_set()) {
        let key = arg.get_long().unwrap();
        let variable = format!("CELEBCAM_{}", key.replace('-', "_").to_uppercase());
        assert_eq!(arg.get_env(), Some(OsString::from(variable).as_os_str()), "{key}");
    }
    let all: Vec<&str> = run.get_arguments().filter_map(Arg::get_long).collect();
    let unknown = NEEDS.iter().flat_map(|(key, needed)| [*key, *needed]);
    assert!(unknown.filter(|key| !all.contains(key)).count() == 0);

    let file = r#"
        format = "json"
        command = "rpicam-vid -o -"
        recording = true
        any-quality = true
        on-event = "greet 'the guest'"
        snapshot = "faces"
        snapshot-limit = "1G"
    "#;
    let args = User::new(file, &[]).run("");
    assert_eq!(args.format, crate::cli::Format::Json);
    assert_eq!(args.source.kind.command.as_deref(), Some("rpicam-vid -o -"));
    assert!(args.source.playback.recording && args.decision.any_quality);
    assert_eq!(args.reactions.on_event.as_deref(), Some("greet 'the guest'"));
    assert_eq!(args.reactions.snapshot_limit, 1_000_000_000);
}

#[test]
fn the_nearest_of_alternatives_silences_the_others() {
    let user = User::new("command = \"rpicam-vid\"\nrecording = true\nthreshold = 0.5", &[]);
    let args = user.run("--camera 1 --max-false-accepts 0.01");
    assert!(args.source.kind.command.is_none() && !args.source.playback.recording);
    assert!(args.decision.rule.threshold.is_none());
    let user = User::new("camera = \"C920\"", &[("CELEBCAM_PICTURES", "photos")]);
    let args = user.run("");
    assert!(args.source.kind.camera.is_none());
    assert_eq!(args.source.kind.pictures, [PathBuf::from("photos")]);
    let error = User::new("camera = 0\nstdin = true", &[]).refusal("run");
    assert!(error.contains("camera") && error.contains("exclude each other"), "{error}");
    assert!(User::new("camera = 0\nstdin = false", &[]).run("").source.kind.camera.is_some());
}

#[test]
fn wrong_values_name_their_place_and_what_is_right() {
    let cases = [
        ("fps = \"fast\"", "fps = fast: a number from 0.01"),
        ("format = \"xml\"", "format = xml: it can be text or json"),
        ("stdin = 1", "stdin = 1: true or false"),
        ("absence = [1, 2]", "absence takes one value"),
        ("thread = 1", "did you mean threads?"),
    ];
    for (file, words) in cases {
        let error = User::new(file, &[]).refusal("run");
        assert!(error.contains("c.toml: ") && error.contains(words), "{error}");
    }
    let error = User::new("", &[("CELEBCAM_FPS", "fast")]).refusal("run");
    assert!(error.starts_with("CELEBCAM_FPS = fast: a number from"), "{error}");
    let mut user = User::new("", &[]);
    user.variables.insert("CELEBCAM_CONFIG".into(), "/no/such.toml".into());
    assert_eq!(user.refusal("run"), "settings /no/such.toml: no such file");
}

#[test]
fn an_empty_variable_says_nothing() {
    assert_eq!(User::new("", &[("CELEBCAM_THREADS", "")]).run("").threads, 1);
}

#[test]
fn other_commands_take_what_they_share() {
    let user = User::new("gallery = \"g\"\nformat = \"json\"\nthreads = 3", &[]);
    let Subcommand::Identify(args) = user.parse("identify a.jpg").unwrap().0.command else {
        panic!("identify")
    };
    assert_eq!(args.gallery.gallery, Some("g".into()));
    assert_eq!((args.format, args.threads), (crate::cli::Format::Text, None));
    let Subcommand::People(args) = user.parse("people").unwrap().0.command else {
        panic!("people")
    };
    assert_eq!(args.gallery.gallery, Some("g".into()));
    assert!(user.parse("people rename a b").is_ok());
    let Subcommand::Doctor(args) = user.parse("doctor").unwrap().0.command else {
        panic!("doctor")
    };
    assert_eq!((args.run.format, args.run.threads), (crate::cli::Format::Text, 3));
    let broken = User::new("nonsense", &[]);
    assert!(broken.parse("model").is_ok(), "a command without settings does not read them");
}

#[test]
fn help_names_the_variables() {
    let user = User::new("", &[]);
    let Err(ParseFailure::Usage(help)) = user.parse("run --help") else { panic!("help") };
    assert!(help.to_string().contains("CELEBCAM_MAX_FALSE_ACCEPTS"));
    command().debug_assert();
}

#[test]
fn variables_that_are_no_settings_are_told() {
    let names =
        ["CELEBCAM_MAXFPS", "CELEBCAM_MAX_FPS", "CELEBCAM_CONFIG", "CELEBCAM_EVENT", "HOME"];
    let told = unknown_variables(names.map(OsString::from).into_iter());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("CELEBCAM_MAXFPS is no setting"), "{told:?}");
    assert!(told[0].ends_with("did you mean CELEBCAM_MAX_FPS?"), "{told:?}");
}

#[test]
fn a_path_in_the_users_folder_that_no_shell_has_read_is_refused() {
    for (file, variables) in [
        ("snapshot = \"~/faces\"", &[][..]),
        ("pictures = [\"a\", \"~\"]", &[]),
        ("", &[("CELEBCAM_GALLERY", "~ann/gallery")]),
    ] {
        let refusal = User::new(file, variables).refusal("run");
        assert!(refusal.contains("~ stands for itself"), "{refusal}");
    }
    let user = User::new("snapshot = \"./~/faces\"", &[]);
    assert_eq!(user.run("").reactions.snapshot, Some("./~/faces".into()));
    assert!(matches!(user.parse("run --snapshot=~/faces"), Err(ParseFailure::Usage(_))));
}

#[test]
fn a_wrong_argument_is_shown_without_secrets_and_control_characters() {
    let user = User::new("", &[]);
    for line in
        ["run --fps \u{1b}[2J --command rtsp://a:S3cret@h/1", "run --threads rtsp://a:S3cret@h/1"]
    {
        let Err(ParseFailure::Usage(error)) = user.parse(line) else { panic!("{line}") };
        let said = error.render().to_string();
        assert!(!said.contains('\u{1b}') && !said.contains("S3cret"), "{said}");
    }
    assert!(command().find_subcommand("run").is_some_and(|run| {
        run.get_arguments().all(|arg| arg.get_env().is_none() || arg.is_hide_env_values_set())
    }));
}

#[test]
fn areas_are_a_list_in_the_file_and_several_flags_or_one_variable() {
    let file =
        "ignore = [\"0,0,0.5,0.5\", \"0.9,0,0.1,1\"]\nmin-face = 40\nrotate = 180\nflip = true";
    let user = User::new(file, &[]);
    let args = user.run("");
    assert_eq!((args.faces.ignore.len(), args.faces.min_face), (2, Some(40)));
    assert_eq!((args.source.turn.rotate, args.source.turn.flip), (180, true));
    assert_eq!(user.run("--ignore 0,0,1,1 --rotate 0").faces.ignore.len(), 1);
    assert_eq!(user.setting("config", "ignore").kind, ValueKind::List);
    let variable = [("CELEBCAM_IGNORE", "0,0,0.5,0.5;0,0,1,0.1")];
    assert_eq!(User::new("", &variable).run("").faces.ignore.len(), 2);
    assert_eq!(User::new("", &[]).run("--ignore 0,0,1,1 --ignore 0,0,.1,.1").faces.ignore.len(), 2);
    let error = User::new("ignore = [0, 0, 0.5, 0.5]", &[]).refusal("run");
    assert!(error.contains("an area is x,y,width,height"), "{error}");
    let error = User::new("rotate = 45", &[]).refusal("run");
    assert!(error.contains("0, 90, 180 or 270"), "{error}");
}

#[test]
fn photos_are_not_turned_as_the_camera_is_and_frames_to_add_somebody_are() {
    let user = User::new("rotate = 180\nignore = \"0,0,1,0.1\"\nmin-face = 40", &[]);
    let Subcommand::Identify(args) = user.parse("identify a.jpg").unwrap().0.command else {
        panic!("identify")
    };
    assert_eq!((args.turn.rotate, args.faces.ignore.len(), args.faces.min_face), (0, 0, None));
    let Subcommand::Enroll(args) = user.parse("enroll Ann --from-camera").unwrap().0.command else {
        panic!("enroll")
    };
    assert_eq!(args.source.turn.rotate, 180);
}

#[test]
fn a_wrong_address_is_told_without_its_password() {
    let user = User::new("camera = \"ftp://ann:1234@cam\"", &[]);
    let error = user.refusal("run");
    assert!(error.contains("ftp://***@cam") && !error.contains("1234"), "{error}");
    let Err(ParseFailure::Usage(usage)) =
        User::new("", &[]).parse("run --camera ftp://ann:1234@cam")
    else {
        panic!("usage")
    };
    let text = usage.to_string();
    assert!(text.contains("ftp://***@cam") && !text.contains("1234"), "{text}");
}

#[test]
fn photos_are_not_turned_as_the_camera_of_the_file_is() {
    let user = User::new("camera = \"C920\"\nrotate = 180\nflip = true", &[]);
    let turn = user.run("").source.turn;
    assert!(turn.rotate == 180 && turn.flip);
    let turn = user.run("--pictures a.jpg").source.turn;
    assert!(turn.rotate == 0 && !turn.flip);
    assert_eq!(user.run("--pictures a.jpg --rotate 90").source.turn.rotate, 90);
    // A program may stand for the camera.
    assert_eq!(user.run("--command cat").source.turn.rotate, 180);
    let file = "pictures = [\"a.jpg\"]\nrotate = 180";
    assert_eq!(User::new(file, &[]).run("").source.turn.rotate, 180, "said beside the photos");
}

#[test]
fn a_wrong_run_is_refused_and_looked_at_by_the_doctor() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos").display().to_string();
    let among = format!("--snapshot {} --pictures {photos}", folder.path().display());
    let user = User::new("", &[]);
    for (line, words) in [
        ("--recording", "a camera gives no film"),
        ("--recording --camera rtsp://cam/1", "a camera gives no film"),
        ("--confirm 0", "--confirm has to be from 1 to 5"),
        ("--confirm 6", "--confirm has to be from 1 to 5"),
        ("--absence=-1", "--absence -1: "),
        ("--on-event no-such-program", "--on-event: there is no program no-such-program"),
        (&among, "lie in one another"),
    ] {
        for command in ["run", "config"] {
            let error = user.config(&format!("{command} {line}")).unwrap_err().to_string();
            assert!(error.contains(words), "{command} {line}: {error}");
        }
        let Ok(Config::Doctor(config)) = user.config(&format!("doctor {line}")) else {
            panic!("doctor {line}")
        };
        assert!(config.checked.is_err_and(|error| error.to_string().contains(words)), "{line}");
        assert_eq!(config.unknown_variables, ["CELEBCAM_X"]);
    }
    assert!(user.config("run --recording --stdin").is_ok());
    let line = "enroll Ann --from-camera --gallery g --timeout=-1";
    let timeout = user.config(line).unwrap_err().to_string();
    assert!(timeout.starts_with("--timeout -1: "), "{timeout}");
}

#[test]
fn a_run_goes_by_what_was_said() {
    let user = User::new("max-false-accepts = 0.01\nmin-face = 40", &[("HOME", "/home/ann")]);
    let run = |line: &str| match user.config(&format!("run {line}")) {
        Ok(Config::Run(config)) => config,
        other => panic!("{other:?}"),
    };
    let config = run("");
    assert_eq!(config.setup.observer.recognizer.demand, Demand::FalseAccepts(0.01));
    assert_eq!(config.setup.observer.recognizer.top_k, defaults::TOP_K);
    assert_eq!(config.setup.observer.wanted.narrowest_px, 40.0);
    let gallery = PathBuf::from("/home/ann/.local/share/celebcam/gallery");
    assert_eq!(config.setup.gallery, Some(gallery));
    assert!(config.setup.source.selector().is_some());
    for (line, time, origin) in [
        ("--command cat", Time::Live, "the command `cat`"),
        ("--command cat --recording", Time::Film, "the command `cat`"),
        ("--stdin", Time::Live, "standard input"),
        ("--pictures a --recording", Time::Pictures, "files"),
        ("--camera http://cam/", Time::Live, "the network camera http://cam/"),
    ] {
        let source = run(line).setup.source;
        assert_eq!((source.time(), source.origin().as_str()), (time, origin), "{line}");
    }
    let homeless = User::new("", &[]);
    assert!(homeless.config("run").is_ok());
    let refused = homeless.config("people").unwrap_err().to_string();
    assert!(refused.contains("name a file with --gallery"), "{refused}");
}
