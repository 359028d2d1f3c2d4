//! The bindings of `turnpike:policy@0.1`, generated from the WIT, and nothing else. The world below
//! lists what this host links and calls today; an interface that it does not import is not
//! reachable by any guest.

wasmtime::component::bindgen!({
    inline: "
        package turnpike:host;

        world host {
            import turnpike:policy/log@0.1.0;
            import turnpike:policy/request@0.1.0;
            import turnpike:policy/candidates@0.1.0;
            import turnpike:policy/counters@0.1.0;
            import turnpike:policy/state@0.1.0;
            import turnpike:policy/clock@0.1.0;
            import turnpike:policy/random@0.1.0;
            import turnpike:policy/catalog@0.1.0;
            import turnpike:policy/fetch@0.1.0;
            export turnpike:policy/plugin@0.1.0;
            export turnpike:policy/classify@0.1.0;
            export turnpike:policy/route@0.1.0;
            export turnpike:policy/route-reasons@0.1.0;
            export turnpike:policy/redact@0.1.0;
            export turnpike:policy/bill@0.1.0;
        }
    ",
    path: "../wit/policy@0.1.0",
    world: "turnpike:host/host",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: {
        "turnpike:policy/fetch.get": async,
        "turnpike:policy/fetch.post": async,
    },
    exports: { default: async },
});
