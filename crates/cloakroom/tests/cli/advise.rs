//! `cloakroom advise`: with a case file, without anything, and at a terminal.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::Stdio,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::bench::Bench;

#[test]
fn a_case_file_is_answered_in_json_and_in_both_languages() {
    let bench = Bench::new();
    let case = bench.file("case.toml", "verifiers = \"many_services\"\nservers = 4\n");
    let answer = bench.json(&["advise", "--case", &case]);
    assert_eq!(answer["recommended"], "phantom");
    assert_eq!(answer["options"][0]["settings"]["app"][0]["method"], "phantom");
    assert_eq!(answer["conflicts"], json!([]));
    let (english, korean) =
        (bench.run(&["advise", "--case", &case]), bench.run(&["advise", "--case", &case, "--lang", "ko"]));
    assert_eq!((english.code, korean.code), (0, 0));
    assert!(english.out.starts_with("Use `phantom`.\n"), "{}", english.out);
    assert!(korean.out.starts_with("`phantom` 방식을 쓰세요.\n"), "{}", korean.out);
}

/// The settings as they are printed, in a file.
#[test]
fn the_printed_settings_pass_config_check() {
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_SECRET", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    for case in ["", "servers = 3\nend_within = \"0s\"\nsensitive = true\n", "clients = [\"mobile\"]\nservers = 3\n"] {
        let case = bench.file("case.toml", case);
        let said = bench.run(&["advise", "--case", &case]).out;
        let block = said.split("\n\n").find(|block| block.contains("[[app]]") || block.contains("[store]")).unwrap();
        let rest = said.split_once(block).unwrap().1;
        let more: Vec<_> =
            rest.split("\n\n").take_while(|block| block.is_empty() || block.starts_with("    ")).collect();
        let written = bench.file("advised.toml", &format!("{block}\n{}", more.join("\n")));
        let checked = bench.run(&["config", "check", "--config", &written]);
        assert_eq!(checked.code, 0, "{said}\n{}", checked.err);
    }
}

#[test]
fn a_wrong_case_is_refused_with_all_its_mistakes() {
    let bench = Bench::new();
    let case = bench.file("case.toml", "severs = 4\nregions = 0\n");
    let run = bench.run(&["advise", "--case", &case]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("`severs`: there is no such key (did you mean `servers`?)"), "{}", run.err);
    assert!(run.err.contains("case.toml line 2"), "{}", run.err);
    assert_eq!(bench.refusal(&["advise", "--case", &case]), (2, "bad_case".into()));
    assert_eq!(bench.refusal(&["advise", "--case", "nowhere.toml"]), (2, "usage".into()));
}

/// A pipe is nobody to ask.
#[test]
fn without_a_terminal_the_default_case_is_answered() {
    let run = Bench::new().run_with(&["advise"], "mobile\n");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.starts_with("Use `session`.\n"), "{}", run.out);
}

#[test]
fn at_a_terminal_it_asks() {
    let bench = Bench::new();
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = bench.command(&["advise", "--lang", "ko"]);
    let child = command.stdin(terminal).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    // A phone, and what stands in brackets for the rest.
    File::from(keyboard.try_clone().unwrap()).write_all("mobile\n\n\n\n\n\n\n\n".as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let (said, asked) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert!(done.status.success(), "{asked}");
    assert!(asked.contains("무엇이 요청하나요?"), "{asked}");
    assert!(said.starts_with("`jwt` 방식을 쓰세요.\n"), "{said}");
    let mut echoed = [0; 6];
    File::from(keyboard).read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"mobile");
}
