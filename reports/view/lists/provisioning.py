"""What is asked before a device is provisioned."""

from __future__ import annotations

from reports.view.form import Field, Form

PROVISIONING = Form(
    title="The device",
    submit="Begin",
    fields=(
        Field(
            name="way",
            label="Way to the device",
            choices=(
                ("http", "its own Wi-Fi network"),
                ("serial", "USB cable"),
                ("ble", "Bluetooth (not yet proven on a radio)"),
            ),
            value="http",
            hint="From the machine on which the gateway runs.",
        ),
        Field(
            name="address",
            label="Address",
            value="192.168.4.1",
            needed=True,
            when={"way": ("http",)},
            hint="Let the gateway's machine join the device's network PROV_… first.",
        ),
        Field(
            name="port",
            label="Serial port",
            kind="choice",
            needed=True,
            when={"way": ("serial",)},
            hint="USB ports of the gateway's machine that no link holds.",
        ),
        Field(
            name="ble_name",
            label="Bluetooth name",
            needed=True,
            when={"way": ("ble",)},
            hint="As PROV_1234.",
        ),
        Field(
            name="password",
            label="Password of the device",
            kind="password",
            hint="It stands on its label.",
        ),
        Field(name="user", label="User at the device"),
        Field(
            name="gateway_url",
            label="Where it shall send",
            hint="As the device reaches this gateway: http://ADDRESS:PORT. Empty: Wi-Fi only.",
            wide=True,
        ),
        Field(name="device", label="Its id here", hint="Empty: one is made up."),
        Field(name="vin", label="VIN of its vehicle", hint="Empty: not known."),
        Field(
            name="timeout_s", label="Patience (s)", hint="For the network, and the first reading."
        ),
        Field(
            name="allow_patch_0",
            label="Speak with firmware before March 2025 (repeats its nonces)",
        ),
    ),
)
