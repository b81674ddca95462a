// Package delivery is the model of deliveries: a Delivery is a set of events on its way to one integration, with its
// id, its state, its attempts, and the outcomes of its parts. Every package that makes, sends, stores or shows
// deliveries imports it.
//
// It makes no delivery (package fanout does), sends none (sending), decides nothing about when (worker), and stores
// nothing: each of those packages declares the interface that it needs of an engine.
//
// Delivery is at least once: a delivery keeps its id through every repeat, retry and replay. A delivery that travels as
// several requests has an outcome for each (see Part): a refused receiver or a bad record keeps nobody else from
// theirs, and what arrived is not sent again.
package delivery
