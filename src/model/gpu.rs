//! Devices that tie a VM to a host.

use std::collections::BTreeMap;

use super::record::record;
use super::{Host, Ref, Uuid, Vm};

record! {
    /// A PCI device of a host.
    Pci, "PCI", pci {
        uuid: Uuid,
        class_name: String,
        vendor_name: String,
        device_name: String,
        host: Ref<Host>,
        pci_id: String,
    }
}

record! {
    /// A physical GPU of a host.
    Pgpu, "PGPU", pgpu {
        uuid: Uuid,
        PCI: Ref<Pci>,
        host: Ref<Host>,
        resident_VGPUs: Vec<Ref<Vgpu>>,
    }
}

record! {
    /// A virtual GPU of a VM.
    Vgpu, "VGPU", vgpu {
        uuid: Uuid,
        VM: Ref<Vm>,
        currently_attached: bool,
        resident_on: Ref<Pgpu>,
    }
}

record! {
    /// A USB device of a host.
    Pusb, "PUSB", pusb {
        uuid: Uuid,
        USB_group: Ref<UsbGroup>,
        host: Ref<Host>,
        description: String,
        passthrough_enabled: bool,
    }
}

record! {
    /// USB devices that are alike.
    UsbGroup, "USB_group", usb_group {
        uuid: Uuid,
        name_label: String,
        PUSBs: Vec<Ref<Pusb>>,
        VUSBs: Vec<Ref<Vusb>>,
        other_config: BTreeMap<String, String>,
    }
}

record! {
    /// A USB device passed to a VM.
    Vusb, "VUSB", vusb {
        uuid: Uuid,
        VM: Ref<Vm>,
        USB_group: Ref<UsbGroup>,
        currently_attached: bool,
    }
}
