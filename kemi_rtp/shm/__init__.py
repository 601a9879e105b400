"""What the processes of one Kamailio share: its layout, and what follows from it. `state` alone touches htables."""
