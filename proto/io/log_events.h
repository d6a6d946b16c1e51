/* SPDX-License-Identifier: Apache-2.0 */
/* The events of the log: module and name as they stand in every line (mod= ev=), and what happened.
 * The names are stable: scripts and alerts hold on to them. docs/events.md is made from this table
 * and from the arbiter's sentences (arbiter/core/note.h), whose lines have mod=arbiter; `make lint`
 * compares it with what the code writes, both ways. In order of module and name. */
#ifndef QUORATE_PROTO_IO_LOG_EVENTS_H
#define QUORATE_PROTO_IO_LOG_EVENTS_H

/* clang-format off */
#define IO_LOG_EVENTS(X) \
    X("agent", "note", "What the agent has decided, as a sentence") \
    X("agent", "started", "The agent is at work") \
    X("agent", "stopping", "The agent was asked to end; the database is handed over first") \
    X("arbiter", "fence", "The command that powers a host off is begun") \
    X("arbiter", "fence-failed", "It failed, or the host is not off; it is tried again") \
    X("arbiter", "fenced", "The host is off") \
    X("arbiter", "records_unreadable", \
      "The store's records of the databases cannot be read; the node stops") \
    X("arbitrator", "ended", "garbd has ended; it is started again") \
    X("audit", "control", "An order of a person or a tool: who, what, and the answer") \
    X("database", "adopts_directory", "A data directory that was there before is taken over") \
    X("database", "adopts_running", "A database that runs already is taken over without a stop") \
    X("database", "note", "What the engine has to say, as a sentence") \
    X("db", "order_failed", "An order could not be carried out") \
    X("db", "standing_warning", \
      "Something that does not pass by itself; told when it begins or changes") \
    X("failsafe", "peer_closed", \
      "A member that is asked when the quorum is gone has closed the link") \
    X("failsafe", "peer_is_another", \
      "There is somebody else at a member's address; it is not asked") \
    X("guard", "link_lost", "The guard does not answer; it is connected again") \
    X("guard", "start_failed", "The guard could not be started; it is tried again") \
    X("hook", "begins", "A hook is run") \
    X("hook", "done", "It ended well") \
    X("hook", "failed", "It failed, or took too long") \
    X("hook", "output", "A line that it wrote") \
    X("join", "late", "A founder that came late joins the others") \
    X("join", "waiting", "An empty node waits until it has been added to the quorum") \
    X("link", "dial_failed", "Another node cannot be reached; it is tried again") \
    X("link", "down", "A link has ended") \
    X("link", "link_down", "A peer or agent is gone") \
    X("link", "link_up", "A peer or agent is there") \
    X("link", "quorum_node_down", "A quorum node is gone, as the agent sees it") \
    X("link", "quorum_node_up", "A quorum node is there, as the agent sees it") \
    X("link", "refused", "Somebody was not let in, and why") \
    X("link", "up", "A link stands") \
    X("members", "configuration", "The quorum has other members") \
    X("members", "frame_refused", "A frame about membership could not be read") \
    X("members", "not_reached", "A member's address is of no use") \
    X("members", "published", "The own name and URLs were written down") \
    X("members", "removed", "This node is no member any more and ends") \
    X("notify", "delivered", "An event was delivered to the command or the webhook") \
    X("notify", "dropped", "The queue of events was full: the oldest is lost") \
    X("notify", "failed", "An event could not be delivered; it is tried again") \
    X("proxy", "connect_failed", "A member did not take a connection") \
    X("proxy", "connections_cut", "Connections were cut because their primary or host is gone") \
    X("proxy", "fewer_connections", "Too few descriptors are allowed for connections_max") \
    X("proxy", "listening", "A port is open") \
    X("proxy", "name_unknown", "A member's host name is not known") \
    X("proxy", "needs_restart", "A changed setting is in force only after a restart") \
    X("proxy", "no_file_left", "No descriptor is left: clients wait") \
    X("proxy", "no_record", "The quorum has no record of this cluster") \
    X("proxy", "promoted", "A new primary answers: waiting connections are sent on") \
    X("proxy", "record", "Another record: who is primary") \
    X("proxy", "record_of_mongodb", "A replica set needs no proxy: its record is left out") \
    X("proxy", "record_unreadable", "A record cannot be read and is left out") \
    X("proxy", "refused", "A client was refused, and why") \
    X("proxy", "reload_failed", "New settings were refused; the old ones stay") \
    X("proxy", "reloaded", "New settings are in force") \
    X("proxy", "stopping", "The proxy was asked to end") \
    X("quorated", "forced_new", "A quorum of one was made by force") \
    X("quorated", "started", "The node is at work") \
    X("quorated", "stopping", "The node was asked to end") \
    X("quorum", "session_lost", "The proxy lost a quorum node; others are asked") \
    X("raft", "frame_refused", "A frame of Raft could not be read") \
    X("raft", "halted", "Raft has stopped for an error; the node ends") \
    X("raft", "role", "Who leads, in which term") \
    X("state", "save_failed", "The agent's state could not be written; it is tried again") \
    X("store", "restored", "The store holds another state: an image took its place") \
    X("store", "store_failed", "The disk has failed or is full; the node stops") \
    X("tls", "reload_failed", "New certificates were refused; the old ones stay") \
    X("tls", "reloaded", "New certificates are in force") \
    X("web", "reload_failed", \
      "A new status_password_file was refused; what was read before stays in force") \
    X("web", "reloaded", "New passwords of the status page are in force") \
    X("vip", "added", "The virtual address is here") \
    X("vip", "failed", "The virtual address could not be changed") \
    X("vip", "left_behind", "The virtual address stays until its lifetime is over") \
    X("vip", "removed", "The virtual address is not here any more")
/* clang-format on */

#endif
