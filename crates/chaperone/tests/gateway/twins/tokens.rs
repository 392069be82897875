//! Tokens stay what they are: nothing that an agent can send changes one or takes its key away.

use super::setting::{self, TWINS};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_the_same_whatever_the_session_went_through() {
    let cluster = setting::twins();
    let _turn = setting::turn().await;
    let mut gateway = setting::gateway(&cluster);
    const BADGES: &str = "SELECT id, number, holder FROM clinic.badge ORDER BY number, id";
    let mut tokens = Vec::new();
    for twin in TWINS {
        let stored = cluster.psql_in(twin, BADGES).unwrap();
        let mut client = gateway.client(twin).await;
        let first = client.rows(BADGES).await.unwrap();
        assert_eq!(first.len(), 40);
        assert!(
            first.iter().all(|row| !stored.contains(row.as_str()) && row.split('|').nth(1) != Some("NULL")),
            "{first:?}"
        );
        assert_eq!(first.iter().filter(|row| row.ends_with("NULL")).count(), 5);
        for between in [
            "SET TimeZone = 'Asia/Tokyo'",
            "RESET ALL",
            "DISCARD ALL",
            "BEGIN",
            "SELECT set_config('chaperone.f_mrn', '', true)",
            "ROLLBACK",
            "SET chaperone.f_mrn = ''",
            "RESET chaperone.f_mrn",
            "SET SESSION AUTHORIZATION DEFAULT",
            "BEGIN; SET LOCAL chaperone.k_mrn = ''; COMMIT",
            "DISCARD PLANS",
        ] {
            // refused or not: only what comes after it counts
            client.query(between).await.unwrap();
            match client.rows(BADGES).await {
                Ok(rows) => assert_eq!(rows, first, "after `{between}`"),
                Err(error) => assert!(format!("{error:#}").starts_with("25P02"), "after `{between}`: {error:#}"),
            }
        }
        tokens.push(first);
    }
    assert_eq!(tokens[0], tokens[1], "the keys were made so that different numbers have the same tokens");
    gateway.assert_well();
}
