//! What is asked, in order. Each scene has groups of its own.

use bytes::Bytes;
use logway_protocol::Text;
use logway_protocol::message::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use logway_protocol::message::delete_groups::DeleteGroupsRequest;
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::heartbeat::HeartbeatRequest;
use logway_protocol::message::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use logway_protocol::message::leave_group::{LeaveGroupRequest, MemberIdentity};
use logway_protocol::message::list_groups::ListGroupsRequest;
use logway_protocol::message::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use logway_protocol::message::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use logway_protocol::message::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::play::{Play, error, holding, join, plain, subscription};

/// All groups that are asked.
pub(super) const GROUPS: &[&str] = &[
    "bad",
    "e",
    "s",
    "o",
    "r0",
    "none",
    "simple5",
    "simple8",
    "simple9",
    "simple10",
    "r",
    "by-range",
    "by-uniform",
    "u",
    "sd",
    "c",
    "k",
    "b",
    "t",
];

pub(super) fn all(play: &mut Play) {
    malformed(play);
    epochs(play);
    statics(play);
    offsets(play);
    expressions(play);
    assignors(play);
    upgrade(play);
    static_downgrade(play);
    classic(play);
    topics(play);
}

fn malformed(play: &mut Play) {
    let request = |change: fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = join("bad", "m", &["apples"]);
        change(&mut request);
        request
    };
    let cases: [(&str, fn(&mut ConsumerGroupHeartbeatRequest)); 18] = [
        ("no group", |r| r.group_id = Text::default()),
        ("no member", |r| r.member_id = Text::default()),
        ("no member, no group", |r| {
            (r.member_id, r.group_id) = (Text::default(), Text::default())
        }),
        ("epoch -5", |r| r.member_epoch = -5),
        ("no timeout", |r| r.rebalance_timeout_ms = -1),
        ("no topics", |r| r.subscribed_topic_names = None),
        ("owns something", |r| {
            r.topic_partitions = Some(vec![TopicPartitions::default()])
        }),
        ("does not say what it owns", |r| r.topic_partitions = None),
        ("unknown assignor", |r| {
            r.server_assignor = Some(Text::from("none"))
        }),
        ("empty assignor", |r| {
            r.server_assignor = Some(Text::default())
        }),
        ("empty rack", |r| r.rack_id = Some(Text::default())),
        ("empty instance", |r| r.instance_id = Some(Text::default())),
        ("away without instance", |r| r.member_epoch = -2),
        ("broken expression", |r| {
            r.subscribed_topic_regex = Some(Text::from("a(b"))
        }),
        ("half an expression", |r| {
            r.subscribed_topic_regex = Some(Text::from("a)|(b"))
        }),
        ("stays in no group", |r| r.member_epoch = 3),
        ("leaves no group", |r| r.member_epoch = -1),
        ("goes from no group", |r| {
            (r.member_epoch, r.instance_id) = (-2, Some(Text::from("i")))
        }),
    ];
    for (label, change) in cases {
        play.beat(label, &request(change));
    }
    play.describe("nothing came of it", "bad");
}

fn epochs(play: &mut Play) {
    let (one, _) = play.beat("first joins", &join("e", "a", &["apples"]));
    play.describe("one", "e");
    let (_, had) = play.beat(
        "first says all",
        &ConsumerGroupHeartbeatRequest {
            member_epoch: one,
            ..join("e", "a", &["apples"])
        },
    );
    play.beat("silent", &plain("e", "a", one));
    play.beat("ahead", &plain("e", "a", 9));
    play.beat("behind", &plain("e", "a", one - 1));
    play.beat("joins again", &join("e", "a", &["apples"]));
    play.beat("stranger", &plain("e", "b", 1));
    let (two, _) = play.beat("second joins", &join("e", "b", &["apples"]));
    play.describe("two", "e");
    let (_, kept) = play.beat("first is told to give up", &holding("e", "a", one, &had));
    play.describe("moving", "e");
    play.beat("first has not", &plain("e", "a", one));
    play.beat("second waits", &plain("e", "b", two));
    play.beat("first has given up", &holding("e", "a", one, &kept));
    play.beat("first, its answer lost", &holding("e", "a", one, &kept));
    play.beat(
        "first, lying about the last epoch",
        &holding("e", "a", one, &had),
    );
    play.beat("second gets it", &plain("e", "b", two));
    play.describe("settled", "e");
    play.beat(
        "second wants more",
        &ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: Some(vec![Text::from("apples"), Text::from("pears")]),
            ..plain("e", "b", two)
        },
    );
    play.beat("first after that", &plain("e", "a", two));
    let (three, _) = play.beat("second after that", &plain("e", "b", two + 1));
    play.beat("second joins again", &join("e", "b", &["apples", "pears"]));
    play.beat(
        "second joins again, wanting less",
        &join("e", "b", &["apples"]),
    );
    play.describe("without pears", "e");
    play.beat(
        "nothing wanted",
        &ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: Some(Vec::new()),
            ..plain("e", "b", three)
        },
    );
    delete(play, "delete while members are", "e");
    play.beat("first leaves", &plain("e", "a", -1));
    play.beat("first leaves again", &plain("e", "a", -1));
    play.beat("second leaves", &plain("e", "b", -1));
    play.describe("empty", "e");
    play.beat("stays in an empty group", &plain("e", "b", 3));
    play.beat("joins anew", &join("e", "c", &["apples"]));
    play.beat("leaves anew", &plain("e", "c", -1));
    list(play, "list", &["e", "bad"]);
    delete(play, "delete", "e");
    delete(play, "delete again", "e");
    delete(play, "delete nothing", "");
    play.describe("deleted", "e");
}

fn statics(play: &mut Play) {
    let with = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some(Text::from("i")),
        ..request
    };
    play.beat("static joins", &with(join("s", "a", &["apples"])));
    play.beat(
        "a second with its instance",
        &with(join("s", "b", &["apples"])),
    );
    play.beat("joins again", &with(join("s", "a", &["apples"])));
    play.beat("stays under another id", &with(plain("s", "b", 1)));
    play.beat(
        "another instance",
        &ConsumerGroupHeartbeatRequest {
            instance_id: Some(Text::from("j")),
            ..plain("s", "a", 1)
        },
    );
    play.beat("without its instance", &plain("s", "a", 1));
    play.beat("goes away under another id", &with(plain("s", "b", -2)));
    play.beat("goes away", &with(plain("s", "a", -2)));
    play.describe("away", "s");
    play.beat("stays though away", &with(plain("s", "a", 1)));
    play.beat("comes back", &with(join("s", "b", &["apples"])));
    play.beat("the earlier one", &with(plain("s", "a", 1)));
    play.describe("back", "s");
    play.beat("leaves for good", &with(plain("s", "b", -1)));
    play.describe("gone", "s");
}

fn fetch(
    play: &mut Play,
    label: &str,
    version: i16,
    (group, member, epoch): (&str, Option<&str>, i32),
) {
    let topics = ["apples", "nothing"].map(|name| OffsetFetchRequestTopics {
        name: Text::from(name),
        topic_id: if name == "apples" {
            play.id(name)
        } else {
            play.id("pears")
        },
        partition_indexes: vec![0, 99],
    });
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: Text::from(group),
            member_id: member.map(Text::from),
            member_epoch: epoch,
            topics: Some(topics.to_vec()),
        }],
        ..OffsetFetchRequest::default()
    };
    let answer = play.raw.ask(version, &request);
    let found = &answer.groups[0];
    let mut line = error(found.error_code);
    for topic in &found.topics {
        for of in &topic.partitions {
            line.push_str(&format!(
                " {}@{} {:?} {}",
                of.partition_index,
                of.committed_offset,
                of.metadata,
                error(of.error_code)
            ));
        }
    }
    play.note(label, &line);
}

fn delete_offsets(play: &mut Play, label: &str, group: &str) {
    let topics = ["apples", "pears", "none"].map(|name| OffsetDeleteRequestTopic {
        name: Text::from(name),
        partitions: [0, 99]
            .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
            .to_vec(),
    });
    let request = OffsetDeleteRequest {
        group_id: Text::from(group),
        topics: topics.to_vec(),
    };
    let answer = play.raw.ask(0, &request);
    let mut topics = answer.topics;
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    let each = topics.iter().flat_map(|topic| {
        let mut of = topic.partitions.clone();
        of.sort_by_key(|of| of.partition_index);
        of.into_iter().map(|of| {
            format!(
                " {}-{} {}",
                topic.name,
                of.partition_index,
                error(of.error_code)
            )
        })
    });
    let line = format!("{}{}", error(answer.error_code), each.collect::<String>());
    play.note(label, &line);
}

fn delete(play: &mut Play, label: &str, group: &str) {
    let request = DeleteGroupsRequest {
        groups_names: vec![Text::from(group)],
    };
    let answer = play.raw.ask(2, &request);
    play.note(label, &error(answer.results[0].error_code));
}

fn list(play: &mut Play, label: &str, groups: &[&str]) {
    let answer = play.raw.ask(5, &ListGroupsRequest::default());
    let mut found: Vec<String> = answer
        .groups
        .iter()
        .filter(|group| groups.contains(&&*group.group_id))
        .map(|group| {
            format!(
                "{} {:?} {} {}",
                group.group_id, group.protocol_type, group.group_state, group.group_type
            )
        })
        .collect();
    found.sort();
    play.note(label, &found.join(", "));
}

fn offsets(play: &mut Play) {
    let (one, had) = play.beat("joins to commit", &join("o", "a", &["apples"]));
    play.beat("a second", &join("o", "b", &["apples"]));
    let (_, kept) = play.beat("gives up", &holding("o", "a", one, &had));
    let (two, _) = play.beat("has given up", &holding("o", "a", one, &kept));
    play.note(
        "keeps partition 0",
        &format!("{}", kept[0].partitions.contains(&0)),
    );
    for version in [5, 8, 9, 10] {
        play.commit(&format!("v{version} its epoch"), version, ("o", "a", two));
        play.commit(
            &format!("v{version} an older epoch"),
            version,
            ("o", "a", two - 1),
        );
        play.commit(&format!("v{version} epoch 0"), version, ("o", "a", 0));
        play.commit(
            &format!("v{version} of what it has not"),
            version,
            ("o", "b", two - 1),
        );
        play.commit(&format!("v{version} a newer epoch"), version, ("o", "a", 5));
        play.commit(&format!("v{version} nobody"), version, ("o", "", -1));
        play.commit(&format!("v{version} a stranger"), version, ("o", "x", 1));
        play.commit(
            &format!("v{version} no such group, simple"),
            version,
            (&format!("simple{version}"), "", -1),
        );
        play.commit(
            &format!("v{version} no such group, member"),
            version,
            ("none", "x", 1),
        );
    }
    fetch(play, "fetch", 9, ("o", Some("a"), two));
    fetch(play, "fetch by id", 10, ("o", Some("a"), two));
    fetch(play, "fetch as nobody", 9, ("o", None, -1));
    fetch(play, "fetch as nobody in v8", 8, ("o", None, -1));
    fetch(play, "fetch an old epoch", 9, ("o", Some("a"), 0));
    fetch(play, "fetch as a stranger", 9, ("o", Some("x"), 1));
    fetch(
        play,
        "fetch of no group as a member",
        9,
        ("none", Some("x"), 1),
    );
    fetch(play, "fetch of no group", 9, ("none", None, -1));
    delete_offsets(play, "delete offsets in use", "o");
    delete_offsets(play, "delete offsets of no group", "none");
    delete_offsets(play, "delete simple offsets", "simple9");
    list(play, "simple groups", &["simple5", "simple9", "o"]);
    let request = DescribeGroupsRequest {
        groups: ["o", "none", "simple8"].map(Text::from).to_vec(),
        ..DescribeGroupsRequest::default()
    };
    for version in [4, 5, 6] {
        for group in play.raw.ask(version, &request).groups {
            let line = format!(
                "{} {} {} {:?} {:?}",
                group.group_id,
                error(group.error_code),
                group.group_state,
                group.protocol_type,
                group.members.len()
            );
            play.note(&format!("classic describe v{version}"), &line);
        }
    }
    play.describe("consumer describe of a simple group", "simple8");
    play.beat("joins a simple group", &join("simple8", "a", &["apples"]));
    fetch(play, "its offsets are there", 9, ("simple8", Some("a"), 2));
    play.beat("leaves it", &plain("simple8", "a", -1));
    fetch(play, "still there", 9, ("simple8", None, -1));
    delete_offsets(play, "delete offsets of an empty group", "simple8");
    delete(play, "delete a group with offsets", "simple9");
    fetch(play, "nothing left", 9, ("simple9", None, -1));
}

fn expressions(play: &mut Play) {
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(Text::from("app.*|p.ars")),
        ..join("r", "a", &[])
    };
    let (epoch, _) = play.beat("joins by expression", &request);
    play.note("epoch", &epoch.to_string());
    // How soon the expression is matched is the broker's affair.
    let last = harness::eventually("the topics that match", || {
        let answer = play.raw.ask(1, &plain("r", "a", epoch));
        match answer.member_epoch {
            now if now == epoch => Err(now),
            now => Ok(now),
        }
    });
    play.note("last epoch", &last.to_string());
    play.describe("by expression", "r");
    play.beat(
        "no expression any more",
        &ConsumerGroupHeartbeatRequest {
            subscribed_topic_regex: Some(Text::default()),
            ..plain("r", "a", last)
        },
    );
    play.describe("without expression", "r");
    let nothing = ConsumerGroupHeartbeatRequest {
        subscribed_topic_regex: Some(Text::from("x[0-9]+")),
        ..join("r0", "a", &["apples"])
    };
    play.beat("an expression for nothing, and a name", &nothing);
}

fn assignors(play: &mut Play) {
    for assignor in ["range", "uniform"] {
        let group = format!("by-{assignor}");
        let with = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
            server_assignor: Some(Text::from(assignor)),
            ..request
        };
        let first: &[&str] = if assignor == "range" {
            &["apples", "pears"]
        } else {
            &["apples"]
        };
        play.beat("assignor, first", &with(join(&group, "a", first)));
        // For unlike wishes `uniform` has no single answer.
        let (second, third): (&[&str], &[&str]) = match assignor {
            "range" => (&["apples"], &["pears"]),
            _ => (&["apples"], &[]),
        };
        play.beat("assignor, second", &with(join(&group, "b", second)));
        play.beat("assignor, third", &with(join(&group, "c", third)));
        play.describe(assignor, &group);
    }
}

fn joining(group: &str, member: &str, owned: &[(&str, &[i32])]) -> JoinGroupRequest {
    let protocol = |name: &str| JoinGroupRequestProtocol {
        name: Text::from(name),
        metadata: subscription(&["apples"], owned),
    };
    JoinGroupRequest {
        group_id: Text::from(group),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        member_id: Text::from(member),
        protocol_type: Text::from("consumer"),
        protocols: vec![protocol("range"), protocol("cooperative-sticky")],
        ..JoinGroupRequest::default()
    }
}

/// Joins as a classic member; gives back its id and generation.
fn classic_join(play: &mut Play, label: &str, request: &JoinGroupRequest) -> (String, i32) {
    let answer = play.raw.ask(9, request);
    let line = format!(
        "{} generation {} {:?} {:?} leads {} members {}",
        error(answer.error_code),
        answer.generation_id,
        answer.protocol_type,
        answer.protocol_name,
        answer.leader == answer.member_id,
        answer.members.len()
    );
    play.note(label, &line);
    (answer.member_id.to_string(), answer.generation_id)
}

fn classic_sync(
    play: &mut Play,
    label: &str,
    (group, member, generation): (&str, &str, i32),
    share: Option<Bytes>,
) {
    let assignments = share.map(|assignment| SyncGroupRequestAssignment {
        member_id: Text::from(member),
        assignment,
    });
    let request = SyncGroupRequest {
        group_id: Text::from(group),
        member_id: Text::from(member),
        generation_id: generation,
        protocol_type: Some(Text::from("consumer")),
        protocol_name: Some(Text::from("range")),
        assignments: assignments.into_iter().collect(),
        ..SyncGroupRequest::default()
    };
    let answer = play.raw.ask(5, &request);
    let line = format!(
        "{} {} bytes {:?}",
        error(answer.error_code),
        answer.assignment.len(),
        answer.protocol_name
    );
    play.note(label, &line);
}

fn classic_beat(play: &mut Play, label: &str, (group, member, generation): (&str, &str, i32)) {
    let request = HeartbeatRequest {
        group_id: Text::from(group),
        member_id: Text::from(member),
        generation_id: generation,
        ..HeartbeatRequest::default()
    };
    let answer = play.raw.ask(4, &request);
    play.note(label, &error(answer.error_code));
}

fn leave(play: &mut Play, label: &str, group: &str, member: &str, instance: Option<&str>) {
    let request = LeaveGroupRequest {
        group_id: Text::from(group),
        members: vec![MemberIdentity {
            member_id: Text::from(member),
            group_instance_id: instance.map(Text::from),
            ..MemberIdentity::default()
        }],
        ..LeaveGroupRequest::default()
    };
    let answer = play.raw.ask(5, &request);
    let each: Vec<String> = answer
        .members
        .iter()
        .map(|of| error(of.error_code))
        .collect();
    play.note(label, &format!("{} {each:?}", error(answer.error_code)));
}

/// All four partitions of apples, as a leader hands them to itself.
fn everything() -> Bytes {
    let mut share = vec![0, 1, 0, 0, 0, 1, 0, 6];
    share.extend(b"apples");
    share.extend(4i32.to_be_bytes());
    (0..4i32).for_each(|at| share.extend(at.to_be_bytes()));
    share.extend((-1i32).to_be_bytes());
    Bytes::from(share)
}

/// A classic group with one member that has everything; the member and its generation.
fn classic_group(play: &mut Play, group: &str) -> (String, i32) {
    let (id, _) = classic_join(play, "asks for an id", &joining(group, "", &[]));
    let (id, generation) = classic_join(play, "joins with it", &joining(group, &id, &[]));
    classic_sync(
        play,
        "hands out",
        (group, &id, generation),
        Some(everything()),
    );
    (id, generation)
}

fn upgrade(play: &mut Play) {
    let (id, generation) = classic_group(play, "u");
    play.beat("consumer stays in a classic group", &plain("u", "n", 3));
    play.beat("consumer leaves a classic group", &plain("u", "n", -1));
    play.describe("consumer describe of a classic group", "u");
    play.beat(
        "consumer joins a classic group",
        &join("u", "n", &["apples"]),
    );
    play.describe("upgraded", "u");
    list(play, "listed", &["u"]);
    classic_beat(play, "classic is called", ("u", &id, generation));
    play.commit("classic commits", 8, ("u", &id, generation));
    play.commit(
        "classic commits an old generation",
        8,
        ("u", &id, generation - 1),
    );
    fetch(play, "classic fetches", 9, ("u", Some(&id), generation));
    classic_sync(play, "classic syncs too soon", ("u", &id, generation), None);
    let mut wrong = joining("u", &id, &[]);
    wrong.protocol_type = Text::from("connect");
    classic_join(play, "another type", &wrong);
    let mut wrong = joining("u", &id, &[]);
    wrong.protocols[0].name = Text::from("mine");
    wrong.protocols.truncate(1);
    classic_join(play, "another protocol", &wrong);
    let all: &[(&str, &[i32])] = &[("apples", &[0, 1, 2, 3])];
    let (_, next) = classic_join(
        play,
        "classic rejoins with all it had",
        &joining("u", &id, all),
    );
    play.describe("revoking", "u");
    classic_sync(play, "classic syncs", ("u", &id, next), None);
    classic_beat(play, "classic is to rejoin", ("u", &id, next));
    let (_, next) = classic_join(
        play,
        "classic rejoins with nothing",
        &joining("u", &id, &[]),
    );
    classic_sync(play, "classic syncs again", ("u", &id, next), None);
    classic_beat(play, "classic rests", ("u", &id, next));
    classic_beat(play, "classic lies", ("u", &id, next + 1));
    classic_beat(play, "consumer speaks classic", ("u", "n", next));
    play.beat("consumer gets its share", &plain("u", "n", next));
    play.describe("mixed", "u");
    let (third, _) = classic_join(play, "a second classic asks", &joining("u", "", &[]));
    let (third, its) = classic_join(play, "and joins", &joining("u", &third, &[]));
    classic_sync(play, "and syncs", ("u", &third, its), None);
    leave(play, "and leaves", "u", &third, None);
    leave(play, "a stranger leaves", "u", "x", None);
    play.beat("consumer leaves: downgrade", &plain("u", "n", -1));
    play.describe("downgraded", "u");
    list(play, "listed as", &["u"]);
    classic_beat(play, "classic is called together", ("u", &id, next));
    let (_, last) = classic_join(play, "classic again", &joining("u", &id, &[]));
    classic_sync(play, "classic alone", ("u", &id, last), Some(everything()));
    leave(play, "the last leaves", "u", &id, None);
    list(play, "listed at last", &["u"]);
    play.beat(
        "consumer joins an empty classic group",
        &join("u", "n", &["apples"]),
    );
    play.describe("a consumer group again", "u");
    play.beat("and leaves it", &plain("u", "n", -1));
    let (id, _) = classic_group(play, "u");
    list(play, "a classic group again", &["u"]);
    leave(play, "done", "u", &id, None);
}

fn static_downgrade(play: &mut Play) {
    let mut request = join("sd", "a", &["apples"]);
    request.instance_id = Some(Text::from("i"));
    play.beat("static consumer joins", &request);
    let mut classic = joining("sd", "", &[]);
    classic.group_instance_id = Some(Text::from("i"));
    let (id, generation) =
        classic_join(play, "its place is taken in the classic protocol", &classic);
    list(play, "it is", &["sd"]);
    classic_sync(
        play,
        "it syncs",
        ("sd", &id, generation),
        Some(everything()),
    );
    classic_beat(play, "it rests", ("sd", &id, generation));
    play.describe("not a consumer group", "sd");
    leave(play, "removed by instance", "sd", "", Some("i"));
}

fn classic(play: &mut Play) {
    let (id, generation) = classic_group(play, "c");
    play.commit("v9 in its generation", 9, ("c", &id, generation));
    play.commit("v9 in another", 9, ("c", &id, generation + 1));
    play.commit("v9 as a stranger", 9, ("c", "x", generation));
    play.commit("v9 as nobody", 9, ("c", "", -1));
    fetch(
        play,
        "fetch with its generation",
        9,
        ("c", Some(&id), generation),
    );
    fetch(
        play,
        "fetch with another",
        9,
        ("c", Some(&id), generation + 1),
    );
    delete(play, "delete a classic group in use", "c");
    delete_offsets(play, "delete its offsets", "c");
    let mut connect = joining("k", "", &[]);
    connect.protocol_type = Text::from("connect");
    connect.group_instance_id = Some(Text::from("w"));
    classic_join(play, "a worker", &connect);
    delete_offsets(play, "delete a worker's offsets", "k");
    play.beat("consumer joins workers", &join("k", "n", &["apples"]));
    let mut broken = joining("b", "", &[]);
    broken.group_instance_id = Some(Text::from("w"));
    for protocol in &mut broken.protocols {
        protocol.metadata = Bytes::from_static(&[0]);
    }
    classic_join(play, "malformed", &broken);
    play.beat(
        "consumer joins malformed members",
        &join("b", "n", &["apples"]),
    );
    leave(play, "leaves a classic group", "c", &id, None);
    delete_offsets(play, "delete offsets of an empty classic group", "c");
    delete(play, "delete an empty classic group", "c");
}

fn topics(play: &mut Play) {
    let (epoch, _) = play.beat("wants what is not there", &join("t", "a", &["plums"]));
    play.describe("waits for it", "t");
    play.topic("plums", 3);
    let last = harness::eventually("the new topic", || {
        let answer = play.raw.ask(1, &plain("t", "a", epoch));
        match answer.member_epoch {
            now if now == epoch => Err(now),
            now => Ok(now),
        }
    });
    play.note("epoch with the topic", &last.to_string());
    play.describe("has it", "t");
    let request = ConsumerGroupHeartbeatRequest {
        member_epoch: last,
        ..join("t", "b", &["plums"])
    };
    play.beat("a stranger that says all", &request);
    leave(
        play,
        "a consumer leaves as a classic member",
        "t",
        "a",
        None,
    );
    play.describe("nobody", "t");
}
