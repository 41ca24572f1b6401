//! The simulator's `pool.join` refuses what the real server's checks were recorded to refuse.

use crate::preflight_cases::{cases, scenario};
use crate::support::{Caller, Failed};
use serde_json::{Value as Json, json};
use xcp_pool::Fault;
use xcp_pool::simulator::database::Database;
use xcp_pool::simulator::{Release, World};

/// Groups of cases that cannot be played, and why.
const NOT_PLAYED: &[(&str, &str)] = &[
    ("edition:", "the hosts' licence daemon is XCP-ng's: cases with others are left out"),
    ("struct:", "a world's hosts have exactly one pool"),
];

#[test]
fn joins_are_refused_as_recorded() {
    let (baseline, cases) = cases();
    let (mut played, mut wrong) = (0, Vec::new());
    for (number, case) in cases.iter().enumerate() {
        // One difference at a time; what several do together is the preflight's own matter.
        let [what] = case["muts"].as_array().unwrap().as_slice() else { continue };
        let what = what.as_str().unwrap();
        let left_out = NOT_PLAYED.iter().any(|(group, _)| what.starts_with(group));
        if left_out && !what.starts_with("edition:onlyxcp") {
            continue;
        }
        // Joins that go through are tried elsewhere; here some of them will do.
        if case["ok"] == true && number % 4 != 0 {
            continue;
        }
        let scenario = scenario(&baseline, case);
        let Some(answer) = play(&scenario) else { continue };
        played += 1;
        let recorded = match (&case["licensed_error"], &case["error"]) {
            (Json::Null, error) => comparable(error),
            (error, _) => comparable(error),
        };
        if answer != recorded {
            wrong.push(format!("{} {what}: {answer}, recorded {recorded}", case["id"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played > 400, "{played}");
}

/// What a join comes to in a scenario; nothing if no world can be made of it.
fn play(scenario: &Json) -> Option<Json> {
    let load = |side: &str| Database::load(Release::Newest, &scenario[side]["objects"]).unwrap();
    let (joiner, pool) = (load("joiner"), load("pool"));
    let address = |database: &Database| {
        let pool = database.objects("pool").next()?;
        Some(database.text("host", pool.text("master"), "address").to_string())
    };
    let (here, there) = (address(&joiner)?, address(&pool)?);
    let backend = scenario["env"]["bridge_kind"].as_str().unwrap();
    let world = World::builder().database(joiner).database(pool).build().ok()?;
    world.act(|scene| scene.set_network_backend(&here, backend));
    let force = scenario["force"] == true;
    let method = if force { "pool.join_force" } else { "pool.join" };
    let params = [json!(there), json!("root"), json!("xcp-test")];
    Some(match Caller::login(&world, &here).try_call(method, params) {
        Ok(_) => Json::Null,
        Err(Failed::Fault(Fault { code, params, .. })) => {
            comparable(&std::iter::once(code).chain(params).collect())
        }
        Err(Failed::Lost(error)) => panic!("no reply: {error}"),
    })
}

/// An error without what the order in the server's memory, or an exception's text, decides.
fn comparable(error: &Json) -> Json {
    let mut error = error.clone();
    if let Some(texts) = error.as_array_mut() {
        if texts[0] == "INTERNAL_ERROR" {
            texts.truncate(1);
        }
        texts[1..].sort_by_key(ToString::to_string);
    }
    error
}
