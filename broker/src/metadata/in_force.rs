//! A broker's settings as they hold now: those of its file and, before them, those that were set
//! while it runs, for this broker or for all (KIP-226). Invariant: a value derived from one image;
//! whoever acts on a setting that Kafka calls dynamic reads it from here. Pure; beside the hallway.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use logway_config::broker::Broker as Settings;

use super::image::{Image, RESOURCE_BROKER};

/// The settings of one moment.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    /// The file's settings, changed by what was set since.
    pub(crate) settings: Arc<Settings>,
    /// The file's alone.
    pub(crate) file: Arc<Settings>,
    /// Set for this broker.
    pub(crate) broker: BTreeMap<String, String>,
    /// Set for all brokers.
    pub(crate) cluster: BTreeMap<String, String>,
}

impl InForce {
    /// What holds by the file alone.
    pub(crate) fn of_file(file: &Arc<Settings>) -> InForce {
        InForce {
            settings: Arc::clone(file),
            file: Arc::clone(file),
            broker: BTreeMap::new(),
            cluster: BTreeMap::new(),
        }
    }

    /// What holds by the file and an image.
    pub(crate) fn of(file: &Arc<Settings>, image: &Image) -> InForce {
        let own = image.configs(RESOURCE_BROKER, &file.node_id.to_string());
        let all = image.configs(RESOURCE_BROKER, "");
        let mut in_force = InForce {
            broker: own.cloned().unwrap_or_default(),
            cluster: all.cloned().unwrap_or_default(),
            ..InForce::of_file(file)
        };
        let mut settings = None;
        for (name, value) in in_force.cluster.iter().chain(&in_force.broker) {
            let settings = settings.get_or_insert_with(|| Settings::clone(file));
            set(settings, name, value);
        }
        if let Some(settings) = settings {
            in_force.settings = Arc::new(settings);
        }
        in_force
    }

    /// The value that was set while running, for this broker or else for all.
    pub(crate) fn dynamic(&self, name: &str) -> Option<&str> {
        let value = self.broker.get(name).or_else(|| self.cluster.get(name));
        value.map(String::as_str)
    }
}

/// Changes a setting by Kafka's name, if it is one of the file's and may change while running. What
/// cannot be read was refused when it was set, or is of a log that somebody else wrote: it is left out.
fn set(settings: &mut Settings, name: &str, value: &str) {
    fn read<T: std::str::FromStr>(place: &mut T, value: &str) {
        if let Ok(value) = value.trim().parse() {
            *place = value;
        }
    }
    let log = &mut settings.log;
    match name {
        "log.cleaner.backoff.ms" => read(&mut log.cleaner.backoff_ms, value),
        "log.cleaner.dedupe.buffer.size" => read(&mut log.cleaner.dedupe_buffer_size, value),
        "log.cleaner.io.buffer.size" => read(&mut log.cleaner.io_buffer_size, value),
        "log.cleaner.io.max.bytes.per.second" => {
            let rate: Option<f64> = value.trim().parse().ok();
            // Kafka's default, the largest number there is, stands for no limit.
            log.cleaner.io_max_bytes_per_second = rate
                .filter(|rate| *rate < u64::MAX as f64)
                .map(|rate| rate.max(1.0) as _);
        }
        "max.connections" => read(&mut settings.max_connections, value),
        "max.connections.per.ip" => read(&mut settings.max_connections_per_ip, value),
        "max.connections.per.ip.overrides" => {
            value.clone_into(&mut settings.max_connections_per_ip_overrides);
        }
        "message.max.bytes" => read(&mut settings.message_max_bytes, value),
        "transaction.partition.verification.enable" => {
            let place = &mut settings.transaction_partition_verification_enable;
            read(place, &value.to_ascii_lowercase());
        }
        "producer.id.expiration.ms" => read(&mut settings.producer_id_expiration_ms, value),
        _ => {}
    }
}

/// The settings in force, exchanged whole when the metadata log changes them.
#[derive(Debug)]
pub(crate) struct LiveSettings {
    file: Arc<Settings>,
    now: ArcSwap<InForce>,
}

impl LiveSettings {
    /// What the file says, until the first image is seen.
    pub(crate) fn new(file: Arc<Settings>) -> LiveSettings {
        LiveSettings {
            now: ArcSwap::from_pointee(InForce::of_file(&file)),
            file,
        }
    }

    /// The settings now. Cheap; hold it for one piece of work.
    pub(crate) fn get(&self) -> Arc<InForce> {
        self.now.load_full()
    }

    /// The settings of the image from now on; whether they are others than before.
    pub(crate) fn take(&self, image: &Image) -> bool {
        let next = InForce::of(&self.file, image);
        let now = self.now.load();
        if now.broker == next.broker && now.cluster == next.cluster {
            return false;
        }
        self.now.store(Arc::new(next));
        true
    }
}
