"""A KEMI script without kemi_rtp, as one writes it by hand: step for step the same proxy as kemi_rtp/routes.py.

The node is the rtpengine module's own choice: rtpengine_manage().
"""

import KSR

FLAGS = "replace-origin replace-session-connection ICE=remove"
FLAG_NAT = 5


class Plain:
    def child_init(self, rank: int) -> int:
        return 0

    def ksr_request_route(self, msg: object) -> int:
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.send_reply(483, "Too Many Hops")
            return 1
        if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.corex.has_ruri_user() < 0:
            KSR.sl.send_reply(200, "Keepalive")
            return 1
        if KSR.sanity.sanity_check(17895, 7) < 0:
            return 1
        KSR.force_rport()
        if KSR.nathelper.nat_uac_test(19) > 0:
            if not KSR.is_REGISTER() and KSR.siputils.is_first_hop() > 0:
                KSR.nathelper.set_contact_alias()
            KSR.setflag(FLAG_NAT)
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                KSR.rtpengine.rtpengine_manage(FLAGS)
                KSR.tm.t_relay()
            return 1
        if KSR.is_ACK() is False and KSR.tmx.t_precheck_trans() > 0:
            KSR.tm.t_check_trans()
            return 1
        if KSR.siputils.has_totag() > 0:
            return self.in_dialog()
        if KSR.tm.t_check_trans() == 0:
            return 1
        return self.initial()

    def in_dialog(self) -> int:
        if KSR.rr.loose_route() > 0:
            if not KSR.isdsturiset():
                KSR.nathelper.handle_ruri_alias()
            with_media = KSR.is_ACK() or KSR.is_BYE() or KSR.is_INVITE() or KSR.is_UPDATE() or KSR.is_PRACK()
            if with_media and not self.media():
                return 1
            if KSR.is_NOTIFY():
                KSR.rr.record_route()
            return self.relay()
        if KSR.is_ACK():
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
            return 1
        KSR.sl.send_reply(404, "Not here")
        return 1

    def initial(self) -> int:
        if KSR.is_ACK() or KSR.is_BYE() or KSR.is_PRACK() or KSR.is_UPDATE():
            if not KSR.is_ACK():
                KSR.sl.send_reply(481, "Call/Transaction Does Not Exist")
            return 1
        KSR.hdr.remove("Route")
        if KSR.is_REGISTER():
            if KSR.isflagset(FLAG_NAT):
                KSR.nathelper.fix_nated_register()
            if KSR.registrar.save("location", 0) < 0:
                KSR.sl.sl_reply_error()
            return 1
        if KSR.is_INVITE() or KSR.is_SUBSCRIBE() or KSR.is_REFER():
            KSR.rr.record_route()
        if KSR.is_myself_ruri():
            if KSR.corex.has_ruri_user() < 0:
                KSR.sl.send_reply(484, "Address Incomplete")
                return 1
            if KSR.registrar.lookup("location") < 0:
                KSR.sl.send_reply(404, "Not Found")
                return 1
        if KSR.is_INVITE() and not self.media():
            return 1
        return self.relay()

    def media(self) -> bool:
        if KSR.rtpengine.rtpengine_manage(FLAGS) < 0 and not KSR.is_ACK() and KSR.sdpops.sdp_content() > 0:
            KSR.sl.send_reply(503, "Media Service Unavailable")
            return False
        return True

    def relay(self) -> int:
        KSR.tm.t_on_branch("ksr_branch_route")
        KSR.tm.t_on_reply("ksr_onreply_route")
        if KSR.is_INVITE():
            KSR.tm.t_on_failure("ksr_failure_route")
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return 1

    def ksr_onreply_route(self, msg: object) -> int:
        if int(str(KSR.pv.get("$rs"))) < 300:
            KSR.rtpengine.rtpengine_manage(FLAGS)
        if KSR.nathelper.nat_uac_test(1) > 0:
            KSR.nathelper.set_contact_alias()
        return 1

    def ksr_branch_route(self, msg: object) -> int:
        return 1

    def ksr_failure_route(self, msg: object) -> int:
        KSR.rtpengine.rtpengine_manage(FLAGS)
        return 1

    def ksr_reply_route(self, msg: object) -> int:
        return 1

    def ksr_onsend_route(self, msg: object) -> int:
        return 1


def mod_init() -> Plain:
    return Plain()
