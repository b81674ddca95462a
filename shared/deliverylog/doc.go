// Package deliverylog finds deliveries and events of a tenant over all its integrations: the log that people search.
//
// It keeps nothing, and no delivery pays for it. Engines keep deliveries by integration and id, and an id begins with
// its time: so the log of a tenant is the merge of its integrations' lists, newest first (see Log.Search). An event is
// found by its id, which every engine keeps because an event counts once; its deliveries have ids that follow from it,
// or lie within minutes of its arrival (see Log.Trace). What no key finds (a kind, a status, a text) is looked for in
// the merged list, so far in one call as Scanned and Opened say; the answer tells how far that was, and where to go on.
package deliverylog
