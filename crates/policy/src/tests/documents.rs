//! What documents say is what the code does: their policies load, and the denial that they show is one that is given.

use super::*;

const POLICY_MD: &str = include_str!("../../../../docs/policy.md");

/// The blocks of one language in a Markdown text.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let start = format!("```{language}\n");
    text.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_policies_in_documents_load() {
    let blocks = blocks(POLICY_MD, "cedar");
    assert!(!blocks.is_empty());
    for block in blocks {
        load(block);
    }
    // and so does every scope that the tables name
    let scopes = POLICY_MD.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut seen = 0;
    for scope in scopes.filter(|scope| scope.starts_with("principal ") || scope.starts_with("resource ")) {
        seen += 1;
        match scope.starts_with("principal") {
            true => load(&format!("permit ({scope}, action, resource);")),
            false => load(&format!("permit (principal, action, {scope});")),
        };
    }
    assert_eq!(seen, 6);
}

#[test]
fn the_packs_load_together() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/packs");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<(String, String)> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "cedar"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into(), std::fs::read_to_string(path).unwrap()))
        .collect();
    assert_eq!(files.len(), 5);
    let set = PolicySet::load(&files).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.connections().into_iter().collect::<Vec<_>>(), ["clinic"]);
}

#[test]
fn the_denial_in_documents_is_given() {
    let text = r#"@id("billing-pays") permit (principal in Group::"billing", action == Action::"select", resource)
      when { context has purpose && context.purpose == "payment" };"#;
    let refusal = Session::new(text, &principal(&["billing"])).denied(&select()).refusal;
    let shown = format!(
        "ERROR:  {}\nDETAIL:  {} (rule `{}`)\nHINT:  {}\n",
        refusal.message, refusal.detail, refusal.rule, refusal.hint
    );
    assert!(POLICY_MD.contains(&shown), "{shown}");
}
