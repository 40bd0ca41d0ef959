//! The man page of a command.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::notes::Notes;

/// What the definitions of the command line do not say, for the program's own page: paragraphs that
/// go on with its description, then sections.
const OF_PROGRAM: &str = include_str!("../../packaging/celebcam.man");

/// Programs that one who reads the program's own page may look for.
const RELATED: [(&str, &str); 4] =
    [("journalctl", "1"), ("systemctl", "1"), ("v4l2-ctl", "1"), ("systemd.service", "5")];

/// Place of flags of every subcommand among the others; only those for help come later.
const GLOBAL_ORDER: usize = 998;

/// No hyphens that are not in the text, no wider gaps between words: commands and paths stay as they are.
const LAYOUT: &str = ".nh\n.ad l\n";

/// A page: the name of its file, and its text.
pub struct Page {
    pub file: String,
    pub text: String,
}

/// The pages of a program and of all its subcommands.
///
/// # Errors
/// None in practice; they are written to memory.
pub fn pages(program: Command, date: &str) -> io::Result<Vec<Page>> {
    let program = program.disable_help_subcommand(true);
    // What every subcommand takes comes after what is its own.
    let mut program = program.mut_args(|arg| match arg.is_global_set() {
        true => arg.display_order(GLOBAL_ORDER),
        false => arg,
    });
    program.build();
    let source = format!("{program} {}", program.get_version().unwrap_or_default());
    let mut pages = Vec::new();
    let mut ancestors = Vec::new();
    add(&program, &mut ancestors, &mut pages, &|man| man.source(&source).date(date))?;
    Ok(pages)
}

fn add(
    command: &Command,
    ancestors: &mut Vec<String>,
    pages: &mut Vec<Page>,
    marked: &dyn Fn(Man) -> Man,
) -> io::Result<()> {
    let name = name(command);
    let man = Man::new(command.clone()).title(name.to_uppercase()).manual("User Commands");
    let man = marked(man);
    pages.push(Page { file: man.get_filename(), text: page(command, &man, ancestors)? });
    ancestors.push(name);
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        add(subcommand, ancestors, pages, marked)?;
    }
    ancestors.pop();
    Ok(())
}

fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command, man: &Man, ancestors: &[String]) -> io::Result<String> {
    let help = command.get_after_long_help().or_else(|| command.get_after_help());
    let notes = Notes::parse(&help.map(ToString::to_string).unwrap_or_default());
    let (description, sections) = match ancestors {
        [] => OF_PROGRAM.split_at(OF_PROGRAM.find(".SH").unwrap_or(OF_PROGRAM.len())),
        _ => ("", ""),
    };
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    text.extend(LAYOUT.as_bytes());
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    text.extend(description.as_bytes());
    paragraphs(&notes).to_writer(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    man.render_options_section(&mut text)?;
    exit_status(&notes).to_writer(&mut text)?;
    text.extend(sections.as_bytes());
    examples(&notes).to_writer(&mut text)?;
    see_also(command, ancestors).to_writer(&mut text)?;
    Ok(finished(&String::from_utf8_lossy(&text)))
}

fn paragraphs(notes: &Notes) -> Roff {
    let mut roff = Roff::new();
    for paragraph in &notes.paragraphs {
        roff.control("PP", []).text([roman(paragraph)]);
    }
    roff
}

fn exit_status(notes: &Notes) -> Roff {
    let mut roff = Roff::new();
    if !notes.exit_codes.is_empty() {
        roff.control("SH", ["EXIT STATUS"]);
    }
    for (code, meaning) in &notes.exit_codes {
        roff.control("TP", []).text([bold(code)]).text([roman(meaning)]);
    }
    roff
}

fn examples(notes: &Notes) -> Roff {
    let mut roff = Roff::new();
    if !notes.examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
    }
    for (number, example) in notes.examples.iter().enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.control("nf", []).text([bold(&example.command)]).control("fi", []);
        if !example.explanation.is_empty() {
            roff.control("RS", ["4"]).text([roman(&example.explanation)]).control("RE", []);
        }
    }
    roff
}

fn see_also(command: &Command, ancestors: &[String]) -> Roff {
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    let ours = ancestors.iter().cloned().chain(subcommands.map(name));
    let related: &[(&str, &str)] = if ancestors.is_empty() { &RELATED } else { &[] };
    let related = related.iter().map(|(name, section)| ((*name).to_owned(), *section));
    let pages: Vec<_> = ours.map(|name| (name, "1")).chain(related).collect();
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    for (number, (name, section)) in pages.iter().enumerate() {
        let comma = if number + 1 < pages.len() { "," } else { "" };
        roff.text([bold(name), roman(format!("({section}){comma}"))]);
    }
    roff
}

/// The page with one definition of the apostrophe in place of one for each part, without empty lines
/// and spaces at the end of lines, with code between backticks in bold, and with the characters of the
/// keyboard that roff would set in another shape.
fn finished(text: &str) -> String {
    let definitions = Roff::new().render();
    let text = text.replace(&definitions, "").replace(".br\n\n.br\n", ".sp\n");
    let mut finished = definitions;
    for line in text.lines() {
        for (number, part) in line.trim_end().split('`').enumerate() {
            finished += match number {
                0 => "",
                _ if number % 2 == 1 => "\\fB",
                _ => "\\fR",
            };
            finished += part;
        }
        finished += "\n";
    }
    finished.replace('~', "\\(ti").replace('^', "\\(ha")
}

#[cfg(test)]
mod tests {
    use super::*;
    use celebcam::settings;

    fn all() -> Vec<Page> {
        pages(settings::command(), "2026-01-02").expect("written to memory")
    }

    /// The words of a page without its macros' and fonts' marks.
    fn words(page: &Page) -> String {
        let text = page.text.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\(ti", "~");
        let text = text.replace("\\fB", "").replace("\\fI", "").replace("\\fR", "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn check(command: &Command, file: &str, pages: &[Page]) {
        let page = pages.iter().find(|page| page.file == format!("{file}.1"));
        let words = words(page.unwrap_or_else(|| panic!("no page {file}")));
        for arg in command.get_arguments() {
            if let Some(long) = arg.get_long() {
                assert!(words.contains(&format!("--{long}")), "{file}: {long}");
            }
            if let Some(variable) = arg.get_env() {
                assert!(words.contains(&*variable.to_string_lossy()), "{file}: {variable:?}");
            }
        }
        for line in command.get_after_help().map(ToString::to_string).unwrap_or_default().lines() {
            let command = line.trim_start().split("  ").next().unwrap_or_default();
            if line.starts_with("  celebcam") {
                assert!(words.contains(command), "{file}: {command}");
            }
        }
        for subcommand in command.get_subcommands() {
            check(subcommand, &format!("{file}-{}", subcommand.get_name()), pages);
        }
    }

    #[test]
    fn every_command_has_a_page_with_its_flags_variables_and_examples() {
        check(&settings::command(), "celebcam", &all());
    }

    #[test]
    fn the_programs_own_page_teaches_what_the_command_line_cannot() {
        let page = &all()[0];
        assert_eq!(page.file, "celebcam.1");
        let sections = page.text.lines().filter_map(|line| line.strip_prefix(".SH "));
        let sections: Vec<&str> = sections.map(|section| section.trim_matches('"')).collect();
        let expected = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "SUBCOMMANDS",
            "OPTIONS",
            "EXIT STATUS",
            "SERVICE",
            "ENVIRONMENT",
            "FILES",
            "SIGNALS",
            "EXAMPLES",
            "SEE ALSO",
        ];
        assert_eq!(sections, expected);
        assert!(page.text.contains(" 2026-01-02 "));
    }

    #[test]
    fn nothing_is_left_that_roff_would_set_in_another_shape() {
        for page in all() {
            assert!(!page.text.contains(['`', '~', '^']), "{}", page.file);
            assert_eq!(page.text.matches(".ds Aq \\(aq").count(), 1, "{}", page.file);
        }
    }
}
