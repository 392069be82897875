//! Scripts of `psql`, as far as the server sees them: what is meant for `psql` itself is left out.

use super::entry::{Step, cut};

/// The statements of a script, each with the data that follows it.
pub fn read(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with('\\') {
            continue;
        }
        // `\gset` and its like end a statement
        let line = match line.find("\\g") {
            Some(at) => format!("{};", &line[..at]),
            None => line.to_owned(),
        };
        open.push_str(&line);
        open.push('\n');
        if !line.contains(';') {
            continue;
        }
        let (found, rest) = cut(&open);
        if found.is_empty() {
            continue;
        }
        steps.extend(found.iter().map(|sql| sql.trim()).filter(|sql| !sql.is_empty()).map(Step::new));
        open = rest.to_owned();
        if let Some(last) = steps.last_mut().filter(|_| open.trim().is_empty()).filter(|step| takes_data(&step.sql)) {
            let data = lines.by_ref().take_while(|line| *line != "\\.");
            last.data = data.map(|line| format!("{line}\n")).collect();
        }
    }
    steps
}

/// Whether this is a `COPY` from the client, which waits for data.
pub fn takes_data(sql: &str) -> bool {
    let sql = sql.to_ascii_uppercase();
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    sql.contains("COPY ") && sql.contains(" FROM STDIN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_sees() {
        let script = "-- a\n\\set x 1\nSELECT 1; SELECT\n2;\nCOPY t FROM stdin;\n1\\tx;\n\\.\nDO $$ BEGIN\nx;\n\
                      END $$;\nSELECT 3 AS a \\gset\nSELECT ';'";
        let steps = read(script);
        let found: Vec<_> = steps.iter().map(|step| step.sql.as_str()).collect();
        assert_eq!(found[0], "-- a\nSELECT 1");
        assert_eq!(found[1..], ["SELECT\n2", "COPY t FROM stdin", "DO $$ BEGIN\nx;\nEND $$", "SELECT 3 AS a"]);
        assert_eq!(steps[2].data, "1\\tx;\n");
    }
}
