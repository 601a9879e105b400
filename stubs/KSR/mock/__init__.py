"""What stands behind `import KSR`, in wings: the engine, SIP messages, and the modules.

Where is KSR.x.y? In modules/x.py, always; the functions of KSR itself, such as KSR.is_INVITE, are in modules/core.py.
There is one such file for each KSR module that has behaviour. usrloc.py and rtimer.py are modules of Kamailio without
KEMI functions: registrar's contacts, and timers.

What a module works with is beside its functions where that is little, and else in a folder of its name: pv, htable,
rtpengine, textops, tm. Variables and RPC commands stand with the module that exports them, $sht in htable/variables.py.

    load        loads all that follows, so that it stands in the engine's tables
    modules     KSR's functions, one file per module
    htable      tables, items, iterators   |  rtpengine   sets, nodes, daemons
    textops     edits of the message       |  tm          transactions, branches
    pv          the table of pseudo-variables, and those of the pv module
    engine      Kamailio itself: processes, clock, log, dispatch, arguments, worker; the tables that modules enter
    sip         SIP messages and their text

Imports lead downwards in this list; import-linter keeps it so (pyproject.toml). The engine imports no module: a module
enters its functions (`@kemi`, engine/behaviour.py), its memory and its parameters (engine/exports.py), and is handed
the process with each call.
"""
