//! What is read is compared when it is written: every statement that changes accounts, epochs, sessions, keys or the revocation log
//! compares something, in itself or in the function that runs it.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{begins, crates, walk};

/// What those are held in. The one without a name is whichever table a copy is at.
const TABLES: [&str; 8] = ["accounts", "app_ends", "sessions", "keys", "log", "log_head", "installation", "lineage"];

/// What a statement compares beside the key of its row: a condition begins with it.
const COMPARED: [&str; 10] = [
    "generation",
    "epoch",
    "password",
    "secret_check",
    "incarnation",
    "known_as",
    "deletion",
    "expires",
    "until",
    "last_active",
];

/// What a function compares by, in the transaction in which it writes.
const COMPARE: [&str; 7] = [
    // What an operation goes by: the account's epoch and state, the session, its app.
    "present(",
    "plan.take(",
    // The line of the log that says it already.
    "line_that_stands(",
    // The set of keys and the secret that they are under.
    "stamp(",
    // Generation or epoch of a record, and that there is one.
    "write.apply(",
    // The name of the log.
    "known_as == Some(",
    "known_as != Some(",
];

/// Which compare nothing, and why: the file, the function, how the statement begins.
const NOTHING: [(&str, &str, &str, &str); 20] = [
    ("sqlite/log.rs", "append_with", "UPDATE installation SET sequence = sequence + 1", A_LINE),
    ("sqlite/log.rs", "append_with", "INSERT INTO log", A_LINE),
    ("sqlite/log.rs", "write_through", "UPDATE installation SET sequence = sequence", "nothing is changed"),
    ("sqlite/log.rs", "prune", "UPDATE installation SET pruned = max(", "a mark that only rises, beside what it marks"),
    ("sqlite/operate.rs", "new_incarnation", "UPDATE installation SET incarnation", NOT_SERVED),
    ("sqlite/operate.rs", "backup", "UPDATE installation SET incarnation", NOT_SERVED),
    ("sqlite/operate.rs", "leap", "", NOT_SERVED),
    ("sqlite/sessions.rs", "advance_watermark", "UPDATE installation SET mark_", "nobody else has the file"),
    ("sqlite/sessions.rs", "forget", "DELETE FROM sessions", AN_END),
    ("sqlite/tables.rs", "add", "INSERT INTO {}", NOT_SERVED),
    ("sqlite/tables.rs", "remove", "DELETE FROM {}", NOT_SERVED),
    ("sqlite/tables.rs", "set_head", "UPDATE installation", NOT_SERVED),
    ("postgres/accounts.rs", "change_account", "UPDATE cloakroom_accounts SET disabled = false", "an operator's word"),
    ("postgres/log.rs", "append_with", "WITH head AS (UPDATE cloakroom_log_head SET sequence = sequence + 1", A_LINE),
    ("postgres/operate.rs", "new_incarnation", "UPDATE cloakroom_log_head SET incarnation", NOT_SERVED),
    ("postgres/operate.rs", "leap", "", NOT_SERVED),
    ("postgres/sessions.rs", "write", "DELETE FROM cloakroom_sessions", AN_END),
    ("postgres/sessions.rs", "forget", "DELETE FROM cloakroom_sessions", AN_END),
    ("postgres/tables.rs", "remove", "DELETE FROM cloakroom_{}", NOT_SERVED),
    ("postgres/tables.rs", "set_head", "UPDATE cloakroom_", NOT_SERVED),
];
const A_LINE: &str = "one line more: whoever writes it has compared what it goes by";
const AN_END: &str = "an end is an end, however often, and whatever stood there";
const NOT_SERVED: &str = "a copy, or an operator's repair, of what no server has open";

/// How many statements of each adapter compare in themselves: one that loses its condition is not saved by what else its function does.
const IN_THEMSELVES: [(&str, usize); 2] = [("sqlite", 9), ("postgres", 18)];

/// What the scripts for Redis write, and what they compare before that.
const SCRIPTS: [(&str, usize, &[&str]); 6] = [
    (
        "write.lua",
        3,
        &[
            "if moment(ARGV[2], 1) > moment(record, 32) then redis.call('SETRANGE'",
            "if generation == tonumber(ARGV[2]) then",
            "if epoch == tonumber(ARGV[2]) then",
        ],
    ),
    ("discard.lua", 1, &["if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL'"]),
    ("take_back.lua", 2, &["if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end"]),
    ("advance.lua", 1, &["if was and line < from then return 0 end", "elseif name ~= becomes then", "line < to then"]),
    ("find.lua", 0, &[]),
    // An index for display: what it names too much is found to be gone.
    ("list.lua", 2, &["if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE'"]),
];
const WRITES: [&str; 9] = ["SET'", "SETRANGE'", "DEL'", "UNLINK'", "ZADD'", "ZREM'", "EXPIRE'", "PEXPIRE'", "INCR'"];

/// A source of an adapter.
struct Source {
    /// Its path below the folder of adapters.
    path: String,
    /// Constants: name and joined text.
    constants: Vec<(String, String)>,
    functions: Vec<Function>,
}

struct Function {
    name: String,
    /// Without its texts.
    code: String,
    texts: Vec<String>,
}

impl Source {
    fn read(path: String, text: &str) -> Self {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let (mut constants, mut functions) = (Vec::new(), Vec::<(String, String)>::new());
        let mut constant: Option<(String, String)> = None;
        for line in lines {
            let words = line.trim_start().trim_start_matches("pub(super) ");
            if let Some(name) = words.strip_prefix("const ").and_then(|rest| rest.split_once(": &str =")) {
                constant = Some((name.0.to_owned(), String::new()));
            }
            if let Some((name, mut text)) = constant.take() {
                text.push_str(line);
                text.push('\n');
                if line.ends_with(';') {
                    constants.push((name, texts(&text).1.concat()));
                } else {
                    constant = Some((name, text));
                }
                continue;
            }
            if let Some(name) = begins(line) {
                functions.push((name.to_owned(), String::new()));
            }
            if let Some((_, text)) = functions.last_mut() {
                text.push_str(line);
                text.push('\n');
            }
        }
        let functions = functions.into_iter().map(|(name, text)| {
            let (code, texts) = texts(&text);
            Function { name, code, texts }
        });
        Self { path, constants, functions: functions.collect() }
    }

    fn module(&self) -> &str {
        Path::new(&self.path).file_stem().unwrap().to_str().unwrap()
    }

    /// Whether a function compares, or each of those in its file that call it does.
    fn compares(&self, function: &Function) -> bool {
        let has = |function: &Function| COMPARE.iter().any(|compare| function.code.contains(compare));
        let call = format!("{}(", function.name);
        let mut callers =
            self.functions.iter().filter(|other| other.name != function.name && names(&other.code, &call));
        has(function) || callers.clone().next().is_some() && callers.all(has)
    }
}

/// Code without what stands in quotes, and that.
fn texts(code: &str) -> (String, Vec<String>) {
    let (mut rest, mut texts) = (String::new(), Vec::new());
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '"' || rest.ends_with('\'') {
            rest.push(letter);
            continue;
        }
        let mut text = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => text.extend(letters.next().filter(|next| *next != '\n')),
                letter => text.push(letter),
            }
        }
        texts.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    (rest, texts)
}

/// Whether code has a name that is not the end of a longer one.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        let goes_on = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        !goes_on(before) && (name.ends_with('(') || !goes_on(after))
    })
}

/// The tables that a statement changes.
fn changed(statement: &str) -> BTreeSet<String> {
    let words: Vec<_> = statement.split([' ', '(', ')', ';']).filter(|word| !word.is_empty()).collect();
    let table = |at: usize, verb: &[&str]| -> Option<String> {
        words[at..]
            .starts_with(verb)
            .then(|| words.get(at + verb.len()).copied().unwrap_or_default())
            .map(|table| table.trim_start_matches("cloakroom_").to_owned())
    };
    let verbs: [&[&str]; 5] =
        [&["INSERT", "INTO"], &["INSERT", "OR", "REPLACE", "INTO"], &["DELETE", "FROM"], &["TRUNCATE"], &["UPDATE"]];
    let found = (0..words.len()).flat_map(|at| verbs.iter().filter_map(move |verb| table(at, verb)));
    found.filter(|table| TABLES.contains(&table.as_str()) || table.starts_with('{')).collect()
}

/// Whether a statement has a condition on more than the key of its row.
fn compares(statement: &str) -> bool {
    let conditions = statement.replace(" WHERE ", "\n").replace(" AND ", "\n").replace(" ON ", "\n");
    let column = |condition: &str| {
        let word = condition.trim_start_matches('(').split(' ').next().unwrap_or_default().to_owned();
        word.rsplit('.').next().unwrap_or_default().to_owned()
    };
    statement.contains("DO NOTHING")
        || conditions.lines().skip(1).any(|condition| COMPARED.contains(&column(condition).as_str()))
}

/// R2, R3, R9: of two who read the same and write, the later one must find out.
#[test]
fn what_changes_something_compares_what_was_read() {
    let adapters = crates().join("cloakroom-core/src/store");
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for (adapter, expected) in IN_THEMSELVES {
        let mut in_themselves = 0;
        let mut sources = Vec::new();
        walk(&adapters.join(adapter), &mut |path, text| {
            sources.push(Source::read(format!("{adapter}/{}", path.rsplit('/').next().unwrap()), text));
        });
        let mut judge = |statement: &str, by: Option<(&Source, &Function)>, of: &str| {
            if changed(statement).is_empty() {
                return;
            }
            if compares(statement) {
                in_themselves += 1;
                return;
            }
            if by.is_some_and(|(source, function)| source.compares(function)) {
                return;
            }
            let (file, name) = by.map_or((of, ""), |(source, function)| (&*source.path, &*function.name));
            let listed = NOTHING.iter().position(|(path, function, begins, _)| {
                (*path, *function) == (file, name) && statement.starts_with(begins)
            });
            match listed {
                Some(row) => drop(known.insert(row)),
                None => found.push(format!("{file}, `{name}`: {statement}")),
            }
        };
        for source in &sources {
            for function in &source.functions {
                function.texts.iter().for_each(|statement| judge(statement, Some((source, function)), &source.path));
            }
            for (name, statement) in &source.constants {
                let elsewhere = format!("{}::{name}", source.module());
                let runners: Vec<_> = sources
                    .iter()
                    .flat_map(|other| other.functions.iter().map(move |function| (other, function)))
                    .filter(|(other, function)| {
                        let name = if other.path == source.path { name } else { &elsewhere };
                        names(&function.code, name)
                    })
                    .collect();
                if runners.is_empty() {
                    judge(statement, None, &source.path);
                }
                for by in runners {
                    judge(statement, Some(by), &source.path);
                }
            }
        }
        assert_eq!(in_themselves, expected, "{adapter}: has a statement lost its condition?");
    }
    assert!(found.is_empty(), "these compare nothing:\n{}", found.join("\n"));
    let gone: Vec<_> = NOTHING.iter().enumerate().filter(|(row, _)| !known.contains(row)).map(|(_, row)| row).collect();
    assert!(gone.is_empty(), "these compare something, or are not there any more: {gone:?}");
}

#[test]
fn what_a_script_changes_is_compared_in_it() {
    let folder = crates().join("cloakroom-core/src/store/redis");
    let scripts: BTreeSet<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "lua"))
        .collect();
    assert_eq!(scripts, SCRIPTS.iter().map(|(name, ..)| (*name).to_owned()).collect());
    for (name, writes, compares) in SCRIPTS {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let calls = text.split("redis.call('").skip(1);
        assert_eq!(calls.filter(|call| WRITES.iter().any(|verb| call.starts_with(verb))).count(), writes, "{name}");
        for compare in compares {
            assert!(text.contains(compare), "{name} does not compare any more: {compare}");
        }
    }
}
