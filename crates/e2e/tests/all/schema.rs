//! The two migration folders tell the same story.

use std::collections::BTreeSet;

use e2e::Database;
use messenger::db::{Db, Row};

/// Table, column, and whether it may be null.
type Column = (String, String, bool);

async fn columns(database: Database, select: &'static str) -> BTreeSet<Column> {
    let storage = database.fresh().await;
    let db = Db::open(&storage.url).await.unwrap();
    let column = |row: &Row| Ok((row.take()?, row.take()?, row.take::<i64>()? == 1));
    let columns = db.read().await.unwrap().sql(select).all(column).await.unwrap();
    db.close().await;
    columns.into_iter().collect()
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    if !Database::Postgres.is_to_be_tested() {
        return;
    }
    // The index of the search is the one thing that each has in a form of its own.
    let sqlite = columns(
        Database::Sqlite,
        "SELECT m.name, c.name, CASE WHEN c.\"notnull\" = 1 THEN 0 ELSE 1 END
         FROM sqlite_master m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '_sqlx_%'
            AND m.name NOT LIKE 'search_terms%' AND m.name <> 'search_documents'",
    )
    .await;
    let postgres = columns(
        Database::Postgres,
        "SELECT table_name::text, column_name::text,
            CASE WHEN is_nullable = 'YES' THEN 1 ELSE 0 END::bigint
         FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'
            AND table_name <> 'search_documents'",
    )
    .await;
    assert!(sqlite.len() > 50, "the schema was read: {sqlite:?}");
    assert_eq!(sqlite, postgres);
}

#[test]
fn both_folders_have_the_same_migrations() {
    let names = |folder: &str| {
        let path = format!("{}/../messenger/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(path).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
