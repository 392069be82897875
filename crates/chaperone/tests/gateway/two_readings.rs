//! With `standard_conforming_strings` off a backslash moves the end of a string. Whoever may only read must not write
//! by a text that says one thing so and another thing otherwise.

use chaperone_testkit::raw::{Message, frontend as frame};

use crate::stage::Setup;

fn code(messages: &[Message]) -> String {
    messages.iter().find(|message| message.tag == b'E').and_then(|error| error.field(b'C')).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_one_reading_says_needs_permission_too() {
    let gateway = Setup::new().start();
    let mut client = gateway.client_of("readers", "ops").await;
    client.query("set standard_conforming_strings = off").await.unwrap();
    let before = client.rows("select count(*) from ops.item").await.unwrap();
    let hidden = "'; update ops.item set name = 'gone'; --'";
    for text in [
        format!(r"select 'a\', {hidden}"),
        // inside a string there need not be words
        format!(r"select '1abc', 'a\', {hidden}"),
        format!(r"select '$x$', 'a\', {hidden}"),
        format!(r"select '/*', 'a\', {hidden}"),
        // nor need it be flat or short
        format!(r"select '{}', 'a\', {hidden}", "(".repeat(30_000)),
        format!(r"select '{}', 'a\', {hidden}", "1 ".repeat(300_000)),
        // an older grammar takes what ours does not
        r"select 'a\', '; update ops.item as system_user set name = ''gone''; --'".to_owned(),
        r"select 'a\', '; update ops.item set name = $$gone$$; select 1 as json_scalar from json_scalar(; --'"
            .to_owned(),
    ] {
        let shown = &text[..text.len().min(60)];
        let simple = client.query(&text).await.unwrap();
        assert!(!code(&simple).is_empty(), "{shown}");
        let batch = [frame::parse("", &text, &[]), frame::bind("", "", &[], &[]), frame::execute("", 0), frame::sync()];
        client.send(&batch.concat()).await.unwrap();
        assert!(!code(&client.until_ready().await.unwrap()).is_empty(), "{shown}");
    }
    assert_eq!(client.rows("select count(*) from ops.item where name = 'gone'").await.unwrap(), ["0"]);
    assert_eq!(client.rows("select count(*) from ops.item").await.unwrap(), before);
    // a backslash at the end of a string is an ordinary thing
    client.query("set standard_conforming_strings = on").await.unwrap();
    assert_eq!(client.rows(r"select 'a\_b' like 'a\_b' escape '\'").await.unwrap().len(), 1);
}
