//! What the simulator's hosts do, and what they refuse, call by call.
#![cfg(feature = "simulator")]

mod support;

use serde_json::json;
use support::Caller;
use xcp_pool::simulator::World;

#[test]
fn the_story_begins_with_six_and_with_five_srs() {
    let world = World::story(1);
    let phantom = Caller::login(&world, "phantom");
    assert_eq!(phantom.call("SR.get_all", []).as_array().unwrap().len(), 6);
    let ignite = Caller::login(&world, "10.0.0.2");
    assert_eq!(ignite.call("SR.get_all", []).as_array().unwrap().len(), 5);
    let running = r#"field "power__state" = "Running" and field "is_control_domain" = "false""#;
    let running = ignite.call("VM.get_all_records_where", [json!(running)]);
    assert_eq!(running.as_object().unwrap().len(), 1);
    assert_eq!(world.open_sessions(), 2);
    ignite.call("session.logout", []);
    assert_eq!(world.open_sessions(), 1);
}
