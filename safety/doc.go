// Package safety decides what has to happen before somebody's money is
// committed: the facts of a payment meet rules, and the strictest of what they
// ask for wins. It keeps every decision with its inputs, the pauses and
// cooling-off times by the server's clock, and who may approve for whom.
//
// It knows neither how payments are stored nor how money moves: whoever
// commits it asks PassTx in the same transaction, and CheckTx before it leaves.
package safety
