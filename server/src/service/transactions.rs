//! Transactional requests, before there are transactions: what a client can do without is answered
//! as by a store that never held a lock, the rest is refused in words.

use proto::kvrpcpb::{
    BatchGetResponse, BatchRollbackResponse, CheckSecondaryLocksResponse, CheckTxnStatusResponse,
    CleanupResponse, CommitResponse, DeleteRangeResponse, GcResponse, GetResponse, KeyError,
    PessimisticLockResponse, PessimisticRollbackResponse, PrewriteResponse, ResolveLockResponse,
    ScanLockResponse, ScanResponse, TxnHeartBeatResponse,
};
use proto::tikvpb::batch_commands_request::request::Cmd as Ask;
use proto::tikvpb::batch_commands_response::response::Cmd as Say;

/// Why a transactional request is refused.
pub(super) const WHY: &str = "CRIB-E2020: this version has no transactions, only raw keys";

fn refused() -> KeyError {
    KeyError { abort: WHY.to_owned(), ..KeyError::default() }
}

/// The locks of a store without transactions.
pub(super) fn no_locks() -> ScanLockResponse {
    ScanLockResponse::default()
}

/// The answer to a transactional request on a batched stream.
pub(super) fn not_here(ask: Ask) -> Say {
    let error = Some(refused());
    match ask {
        Ask::ScanLock(_) => Say::ScanLock(no_locks()),
        Ask::Get(_) => Say::Get(GetResponse { error, ..GetResponse::default() }),
        Ask::Scan(_) => Say::Scan(ScanResponse { error, ..ScanResponse::default() }),
        Ask::BatchGet(_) => Say::BatchGet(BatchGetResponse { error, ..Default::default() }),
        Ask::Prewrite(_) => {
            let errors = vec![refused()];
            Say::Prewrite(PrewriteResponse { errors, ..Default::default() })
        }
        Ask::Commit(_) => Say::Commit(CommitResponse { error, ..Default::default() }),
        Ask::Cleanup(_) => Say::Cleanup(CleanupResponse { error, ..Default::default() }),
        Ask::BatchRollback(_) => {
            Say::BatchRollback(BatchRollbackResponse { error, ..Default::default() })
        }
        Ask::ResolveLock(_) => {
            Say::ResolveLock(ResolveLockResponse { error, ..Default::default() })
        }
        Ask::Gc(_) => Say::Gc(GcResponse { error, ..Default::default() }),
        Ask::DeleteRange(_) => {
            let error = WHY.to_owned();
            Say::DeleteRange(DeleteRangeResponse { error, ..Default::default() })
        }
        Ask::PessimisticLock(_) => {
            let errors = vec![refused()];
            Say::PessimisticLock(PessimisticLockResponse { errors, ..Default::default() })
        }
        Ask::PessimisticRollback(_) => {
            let errors = vec![refused()];
            Say::PessimisticRollback(PessimisticRollbackResponse { errors, ..Default::default() })
        }
        Ask::CheckTxnStatus(_) => {
            Say::CheckTxnStatus(CheckTxnStatusResponse { error, ..Default::default() })
        }
        Ask::TxnHeartBeat(_) => {
            Say::TxnHeartBeat(TxnHeartBeatResponse { error, ..Default::default() })
        }
        Ask::CheckSecondaryLocks(_) => {
            Say::CheckSecondaryLocks(CheckSecondaryLocksResponse { error, ..Default::default() })
        }
        _ => unreachable!("raw requests are answered elsewhere"),
    }
}
