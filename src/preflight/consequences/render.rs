//! Consequences for people to read.

use std::fmt::{self, Display};

use super::host::{Cause, HostFate};
use super::import::Import;
use super::interface::{Management, PifFate, PifOutcome};
use super::machine::{Machines, VifFate, VmFate, VmKind};
use super::network::{LandedBy, Landing, NetworkFate, NetworkOutcome, Place};
use super::storage::{CopyOutcome, SrOutcome};
use super::{AfterStart, Consequences, Cpu, CpuFeature, Gap, LostValue};
use crate::actions::Side;
use crate::error::Fault;
use crate::model::PowerState;
use crate::text::{plain, quoted};

impl Display for Consequences {
    /// Plain text: a section for each kind of object, a line for each object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", plain(&self.headline()))?;
        for section in self.lines() {
            writeln!(f, "\n{}", section.title)?;
            for (depth, line) in section.lines {
                writeln!(f, "{:width$}{}", "", plain(&line), width = 2 + 2 * depth)?;
            }
        }
        Ok(())
    }
}

impl Consequences {
    /// The consequences as Markdown: headings and nested lists.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n", escaped(&self.headline()));
        for section in self.lines() {
            text.push_str(&format!("\n## {}\n\n", section.title));
            for (depth, line) in section.lines {
                text.push_str(&format!("{:width$}- {}\n", "", escaped(&line), width = 2 * depth));
            }
        }
        text
    }

    fn headline(&self) -> String {
        match (&self.refusal, &self.host) {
            (Some(fault), _) => {
                format!("{} is refused with {}: nothing changes", self.call, fault.told())
            }
            (None, Some(host)) => format!("What {} of {} will do", self.call, host.name_label),
            (None, None) => format!("What {} will do", self.call),
        }
    }

    fn lines(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        let mut section = |title, lines: Lines| {
            if !lines.0.is_empty() {
                sections.push(Section { title, lines: lines.0 });
            }
        };
        section("Host", self.host.as_ref().map(host).unwrap_or_default());
        section("Networks", self.networks.as_deref().map(networks).unwrap_or_default());
        section("Interfaces", self.interface_lines());
        section("Storage", self.storage_lines());
        section("VMs", self.machines.as_ref().map(machines).unwrap_or_default());
        section("Settings that become the pool's", self.setting_lines());
        section("CPU", self.cpu.as_ref().map(cpu).unwrap_or_default());
        section("Lost without any error", self.loss_lines());
        section("After its start", self.after_start.as_ref().map(start).unwrap_or_default());
        section("Not known", gaps(&self.unknown));
        sections
    }

    fn interface_lines(&self) -> Lines {
        let mut lines = Lines::default();
        let mut pifs: Vec<_> = self.interfaces.iter().flatten().collect();
        pifs.sort_by_key(|pif| (&pif.device, pif.vlan));
        for pif in pifs {
            interface(&mut lines, pif);
        }
        if let Some(Management::Vlan { tag, network, bridge, renamed }) = &self.management {
            let to = network.as_ref().map_or_else(|| "a network not known".to_owned(), place);
            lines.add(format!("management is on VLAN {tag}, which comes along, on {to}"));
            lines.more("secrets and PVS sites come along too, as they do not otherwise");
            if let Some(renamed) = renamed {
                lines
                    .more(format!("last of all the host renames its bridge {bridge} to {renamed}"));
                lines.more(
                    "if that fails, so does the call: the pool then keeps all that is listed \
                     here, the host disabled, and the host stays a master of its own",
                );
            }
        }
        lines
    }

    fn storage_lines(&self) -> Lines {
        let mut lines = Lines::default();
        if let Some(count) = self.sr_count {
            lines.add(format!("the pool's {} SRs become {}", count.before, count.after));
        }
        let mut srs: Vec<_> = self.srs.iter().flatten().collect();
        srs.sort_by_key(|sr| &sr.name_label);
        for sr in srs {
            let outcome = match &sr.outcome {
                SrOutcome::Introduced => "appears, not shared".to_owned(),
                SrOutcome::Known(name) => format!("is in the pool already, as {}", quoted(name)),
                SrOutcome::Merged(name) => format!("the pool's {} takes its place", quoted(name)),
                SrOutcome::Refused(fault) => format!("does not appear ({})", fault.told()),
            };
            lines.add(format!("{} ({}): {outcome}", quoted(&sr.name_label), sr.r#type));
        }
        for pbd in self.pbds.iter().flatten() {
            if let CopyOutcome::Refused(fault) = &pbd.outcome {
                let why = why(fault.as_ref());
                lines.add(format!("the PBD for {}: does not appear{why}", quoted(&pbd.sr)));
            }
        }
        let of = |wanted: fn(&CopyOutcome) -> bool| {
            self.vdis.iter().flatten().filter(|vdi| wanted(&vdi.outcome)).count()
        };
        if self.vdis.as_ref().is_some_and(|vdis| !vdis.is_empty()) {
            let appear = of(|outcome| *outcome == CopyOutcome::Created);
            lines.add(format!("disks that appear: {appear}"));
            let known = of(|outcome| *outcome == CopyOutcome::Known);
            if known > 0 {
                lines.add(format!("disks that are in the pool already: {known}"));
            }
        }
        for vdi in self.vdis.iter().flatten() {
            if let CopyOutcome::Refused(fault) = &vdi.outcome {
                let why = why(fault.as_ref());
                let taken = fault.as_ref().is_some_and(|f| f.code == "LOCATION_NOT_UNIQUE");
                let what = if taken { "the pool's own takes its place" } else { "does not appear" };
                lines.add(format!(
                    "{} on {}: {what}{why}",
                    quoted(&vdi.name_label),
                    quoted(&vdi.sr)
                ));
            }
        }
        lines
    }

    fn loss_lines(&self) -> Lines {
        let mut lines = Lines::default();
        for LostValue { class, uuid, name, field, value, keys: _ } in &self.losses {
            let name = if name.is_empty() { uuid.to_string() } else { quoted(name).to_string() };
            lines.add(match (field, value.is_empty()) {
                (Some(field), _) => format!("{class} {name}: {field} ({value})"),
                (None, false) => format!("{class} {name}, as a whole ({value})"),
                (None, true) => format!("{class} {name}, as a whole"),
            });
        }
        if !self.left_behind.is_empty() {
            let classes = self.left_behind.join(", ");
            lines.add(format!("whatever the host has of class {classes}"));
        }
        lines
    }

    fn setting_lines(&self) -> Lines {
        const UNKNOWN: &str = "not known";
        let mut lines = Lines::default();
        for setting in self.settings.iter().flatten() {
            let (before, after) = (setting.before.as_deref(), setting.after.as_deref());
            let (before, after) = (before.unwrap_or(UNKNOWN), after.unwrap_or(UNKNOWN));
            match setting.changes() {
                Some(false) => {}
                _ => lines.add(format!("{}: {before} -> {after}", setting.name)),
            }
        }
        lines
    }
}

struct Section {
    title: &'static str,
    lines: Vec<(usize, String)>,
}

/// Lines with their depth.
#[derive(Default)]
struct Lines(Vec<(usize, String)>);

impl Lines {
    fn add(&mut self, line: impl Into<String>) {
        self.0.push((0, line.into()));
    }

    fn more(&mut self, line: impl Into<String>) {
        self.0.push((1, line.into()));
    }
}

/// A line with what Markdown would take for marks escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in plain(text).to_string().chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// An error between brackets, if there is one.
fn why(fault: Option<&Fault>) -> String {
    fault.map(|fault| format!(" ({})", fault.told())).unwrap_or_default()
}

fn host(host: &HostFate) -> Lines {
    let mut lines = Lines::default();
    let (name, uuid) = (&host.name_label, &host.uuid);
    match &host.outcome {
        CopyOutcome::Created => lines.add(format!("{name} becomes a member, as {uuid}")),
        CopyOutcome::Known => {
            lines.add(format!("the pool has a record of this host, {name}, which stays as it is"));
        }
        CopyOutcome::Refused(fault) => {
            let why = why(fault.as_ref());
            lines.add(format!("the master refuses {name}{why}; the join goes on without it"));
        }
    }
    for change in &host.changes {
        let (field, before, after) = (change.field, &change.before, &change.after);
        match change.cause {
            // In a section of its own.
            Cause::Inherited => {}
            Cause::Lost => lines.more(format!("{field}: {before} -> {after}")),
            Cause::Slip => {
                lines.more(format!(
                    "{field}: {before} -> {after}, as crash_dump_sr is copied to it"
                ));
            }
            Cause::Stale => lines.more(format!("{field} stays {after}, the host says {before}")),
        }
    }
    lines
}

fn place(place: &Place) -> String {
    let (new, name) = (if place.new { "new " } else { "" }, quoted(&place.name_label));
    match &place.bridge {
        Some(bridge) => format!("{new}{name} ({bridge})"),
        None => format!("{new}{name} (bridge to be named)"),
    }
}

fn landing(landing: &Landing) -> String {
    let places: Vec<_> = landing.places.iter().map(place).collect();
    let by = match landing.by {
        LandedBy::Bridge => "by its bridge",
        LandedBy::Created => "made for it",
        LandedBy::Label => "by its name",
    };
    let moved = match landing.moved {
        Some(true) => "; ANOTHER NETWORK than before",
        Some(false) => "",
        None => "; chance decides, it may be ANOTHER NETWORK than before",
    };
    format!("{}, {by}{moved}", places.join(" or "))
}

fn networks(networks: &[NetworkFate]) -> Lines {
    let mut lines = Lines::default();
    let mut networks: Vec<_> = networks.iter().collect();
    networks.sort_by_key(|network| (&network.bridge, &network.name_label));
    for network in networks {
        let outcome = match &network.outcome {
            NetworkOutcome::Created => "appears, as a new internal network".to_owned(),
            NetworkOutcome::Introduced => "appears, as a new network".to_owned(),
            NetworkOutcome::Merged(there) => format!("the pool's {} takes its place", place(there)),
            NetworkOutcome::Refused(Some(fault)) => format!("is not copied ({})", fault.told()),
            NetworkOutcome::Refused(None) => "is not copied".to_owned(),
        };
        lines.add(format!("{} ({}): {outcome}", quoted(&network.name_label), network.bridge));
        for change in &network.changes {
            lines.more(format!("{}: {} -> {}", change.field, change.before, change.after));
        }
        if let Some(there) = &network.landing {
            lines.more(format!("its VMs land on {}", landing(there)));
        }
    }
    lines
}

fn interface(lines: &mut Lines, pif: &PifFate) {
    let mut device = pif.device.clone();
    if pif.vlan >= 0 {
        device.push_str(&format!(", VLAN {}", pif.vlan));
    }
    if pif.management {
        device.push_str(", management");
    }
    match &pif.outcome {
        PifOutcome::Introduced(there) => lines.add(format!("{device}: on {}", place(there))),
        PifOutcome::NotCopied => lines.add(format!("{device}: is not copied")),
        PifOutcome::Refused(Some(fault)) => {
            lines.add(format!("{device}: is lost ({})", fault.told()));
        }
        PifOutcome::Refused(None) => lines.add(format!("{device}: is lost")),
    }
    if pif.twin.is_some() {
        lines.more("the pool has an interface of this name for this host already, and keeps both");
    }
}

fn machines(machines: &Machines) -> Lines {
    let mut lines = Lines::default();
    if let Import::Undone(clash) = &machines.import {
        let with = clash.with.as_ref();
        let with =
            with.map(|vm| format!(" and the pool's {}", quoted(&vm.name))).unwrap_or_default();
        lines.add(format!(
            "NO VM ARRIVES, because of {}{with}: {}; the join reports success all the same",
            quoted(&clash.vm.name),
            clash.fault.told()
        ));
        if let Some(count) = machines.orphan_metrics.filter(|count| *count > 0) {
            lines.more(format!("VM_metrics that stay without a VM: {count}"));
        }
    }
    for replaced in &machines.replaced {
        let (name, uuid) = (quoted(&replaced.vm.name), &replaced.vm.uuid);
        lines.add(match (replaced.destroyed, replaced.by_another) {
            (true, true) => format!("the pool's {name} ({uuid}) IS DESTROYED and replaced"),
            (true, false) => format!("the pool's {name} ({uuid}) IS DESTROYED, for nothing"),
            (false, _) => format!("the pool's {name} ({uuid}) LOSES its interfaces and drives"),
        });
        lines.more(format!(
            "interfaces: {}, drives: {}; its disks stay; snapshots that lose their VM: {}",
            counted(replaced.vifs),
            counted(replaced.vbds),
            replaced.snapshots
        ));
    }
    let mut vms: Vec<_> = machines.vms.iter().collect();
    vms.sort_by_key(|vm| (&vm.name_label, &vm.uuid));
    for vm in vms {
        machine(&mut lines, vm);
    }
    if machines.default_templates > 0 {
        let count = machines.default_templates;
        lines.add(format!("default templates that stay behind, as the pool has its own: {count}"));
    }
    lines
}

fn counted(count: Option<usize>) -> String {
    count.map_or_else(|| "not known".to_owned(), |count| count.to_string())
}

fn machine(lines: &mut Lines, vm: &VmFate) {
    let kind = match vm.kind {
        VmKind::ControlDomain => "control domain",
        VmKind::Snapshot => "snapshot",
        VmKind::Template => "template",
        VmKind::Vm => "VM",
    };
    let state = match (&vm.power_state, &vm.power_state_after) {
        // Its start puts it right.
        _ if vm.kind == VmKind::ControlDomain => String::new(),
        (before, after) if before == after => format!(", {before}"),
        (PowerState::Paused, after) => format!(", Paused -> {after}: its memory is lost"),
        (before, after) => format!(", {before} -> {after}"),
    };
    let arrives = if vm.arrives { "arrives" } else { "does not arrive" };
    lines.add(format!("{} ({kind}{state}, {}): {arrives}", quoted(&vm.name_label), vm.uuid));
    for vif in vm.vifs.iter().flatten() {
        lines.more(vif_line(vif));
    }
    for drive in vm.emptied.iter().filter(|_| vm.arrives) {
        lines.more(format!("drive {drive}: comes empty, or not at all, as its disk is not found"));
    }
}

fn vif_line(vif: &VifFate) -> String {
    let there = match &vif.landing {
        Some(there) => format!("lands on {}", landing(there)),
        None => "the pool has an interface with this uuid, and this one is lost".to_owned(),
    };
    format!("interface {} ({}) on {}: {there}", vif.device, vif.mac, quoted(&vif.network))
}

fn names(features: &[CpuFeature]) -> String {
    features.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn cpu(cpu: &Cpu) -> Lines {
    let mut lines = Lines::default();
    if cpu.vendor != cpu.joiner_vendor {
        lines.add(format!("the pool's is {}, the host's {}", cpu.vendor, cpu.joiner_vendor));
    }
    for level in &cpu.levels {
        match (level.lost.is_empty(), level.unused.is_empty()) {
            (true, true) => {}
            (true, false) => {
                lines.add(format!("{}: the host has more than the pool uses", level.key));
                lines.more(format!("not used: {}", names(&level.unused)));
            }
            _ => {
                lines.add(format!("{}: THE POOL'S LEVEL GOES DOWN at its start", level.key));
                lines.more(format!("lost: {}", names(&level.lost)));
                lines.more(format!("{} -> {}", level.before, level.after));
            }
        }
    }
    if !cpu.levels.is_empty() && lines.0.is_empty() {
        lines.add("the pool's level stays");
    }
    let why = |vendor_differs, missing: &[CpuFeature]| match (vendor_differs, missing.is_empty()) {
        (true, _) => "another vendor".to_owned(),
        _ => format!("missing {}", names(missing)),
    };
    for vm in cpu.confined.iter().flatten() {
        let why = why(vm.vendor_differs, &vm.missing);
        let (name, state) = (quoted(&vm.vm.name), &vm.power_state);
        lines.add(format!("{name} ({state}) cannot move to the host before a restart: {why}"));
    }
    for vm in cpu.bound.iter().flatten() {
        let why = why(vm.vendor_differs, &vm.missing);
        let name = quoted(&vm.vm.name);
        lines.add(format!("{name}, suspended, can resume on the host alone: {why}"));
    }
    lines
}

fn start(start: &AfterStart) -> Lines {
    let mut lines = Lines::default();
    lines.add("it becomes live, fills in its CPU, memory and control domain, and is enabled");
    for sr in start.connected.iter().flatten() {
        lines.add(format!(
            "it gets a PBD for the shared {} ({})",
            quoted(&sr.name_label),
            sr.r#type
        ));
    }
    for sr in start.not_connected.iter().flatten() {
        lines.add(format!(
            "it gets NO PBD for the shared {} ({}), as the master has none",
            quoted(&sr.name_label),
            sr.r#type
        ));
    }
    for bond in start.bonds.iter().flatten() {
        let (network, members) = (quoted(&bond.network), bond.members.join("+"));
        if bond.members.is_empty() {
            let missing = bond.missing.join(" and ");
            lines.add(format!("it gets NO bond on {network}: it has no {missing}"));
        } else if bond.missing.is_empty() {
            lines.add(format!("it gets the bond on {network}, of {members}"));
        } else {
            let missing = bond.missing.join(" and ");
            lines.add(format!("it gets a PARTIAL bond on {network}: {members}, without {missing}"));
        }
    }
    for vlan in start.vlans.iter().flatten() {
        let (network, tag) = (quoted(&vlan.network), vlan.tag);
        lines.add(match vlan.possible {
            true => format!("it gets VLAN {tag} on {network}"),
            false => format!("it gets NO VLAN {tag} on {network}: nothing is below it"),
        });
    }
    lines
}

fn gaps(gaps: &[Gap]) -> Lines {
    let mut lines = Lines::default();
    for gap in gaps {
        let whose = match gap.side {
            Side::Pool => "the pool's",
            _ => "the joiner's",
        };
        let what = match gap.field {
            Some(field) => format!("{whose} {}.{field}", gap.class),
            None => format!("{whose} records of class {}", gap.class),
        };
        lines.add(format!("{what}: missing from the snapshot; therefore not known:"));
        for hidden in &gap.hides {
            lines.more(*hidden);
        }
    }
    lines
}
