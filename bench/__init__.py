"""What is claimed about speed, measured: `python -m bench`, or one alone: `python -m bench freeze --quick`.

Every figure that is compared is taken in one run, in alternation with what it is compared with, and given as a median
and a ratio; no run fails because a machine is slow. One module per bench:

    choose    choosing a node and binding a call to it, inside Kamailio's interpreter; growth with nodes
    cpu       CPU per call of native routes, a plain KEMI script, and kemi_rtp on 3 and on 300 nodes
    instructions
              what a call costs without a clock: machine instructions of a worker, KEMI calls, Python calls, bytecodes
    freeze    a node of three stops, drops packets, closes its port or answers late, under load; stock and kemi_rtp
    disable   offers that reach a node after `kemi-rtp disable` has returned, and how long the command takes
    registry  10 to 10,000 entries: reading, changing, the command, Kamailio's start
    start     Kamailio's start with 3 to 1,000 nodes
    memory    memory per SIP worker
    growth    the rest of the curves over the number of nodes, and all curves in one picture

`product` and `inside` are the only places that know kemi_rtp's own names; everything else goes through its files, its
command and SIP.
"""
